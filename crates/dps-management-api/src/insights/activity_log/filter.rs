//! `$filter` of the activity log: a few equalities joined by `and` (Azure: "Activity Logs - List"). Owns their names and
//! their translation into KQL over `AzureActivity`; must not know who runs it.

use std::fmt::Write as _;

use dps_model::limits::{MAX_ACTIVITY_CONDITIONS, MAX_ACTIVITY_FILTER};
use dps_model::{Error, Timestamp};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Not before.
    pub(super) from: Option<Timestamp>,
    /// Not after.
    pub(super) to: Option<Timestamp>,
    /// The resource that it is about.
    pub(super) resource: Option<String>,
    /// `where` clauses.
    conditions: Vec<String>,
}

/// Names that clients use, the column that answers, and whether a value may be several with commas.
const EQUALITIES: [(&str, &str); 9] = [
    ("resourceGroupName", "ResourceGroup"),
    ("resourceProvider", "ResourceProvider"),
    ("correlationId", "CorrelationId"),
    ("operationName", "OperationNameValue"),
    ("operations", "OperationNameValue"),
    ("caller", "Caller"),
    ("status", "ActivityStatus"),
    ("levels", "Level"),
    ("level", "Level"),
];

impl Filter {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_ACTIVITY_FILTER {
            return Err(wrong(&format!(
                "has {} bytes; at most {MAX_ACTIVITY_FILTER} are allowed",
                text.len()
            )));
        }
        let mut filter = Self::default();
        let mut rest = text.trim();
        let mut conditions = 0;
        while !rest.is_empty() {
            conditions += 1;
            if conditions > MAX_ACTIVITY_CONDITIONS {
                return Err(wrong(&format!("has more than {MAX_ACTIVITY_CONDITIONS} conditions")));
            }
            let (name, after) = word(rest);
            let (operator, after) = word(after);
            let (value, after) = value(after)?;
            filter.take(name, operator, &value)?;
            rest = after.trim_start();
            let (joint, after) = word(rest);
            if joint.eq_ignore_ascii_case("and") && !after.trim().is_empty() {
                rest = after.trim_start();
            } else if !rest.is_empty() {
                return Err(wrong(&format!("has {joint} where only and, or the end, can stand")));
            }
        }
        Ok(filter)
    }

    fn take(&mut self, name: &str, operator: &str, value: &str) -> Result<(), Error> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("eventTimestamp") {
            let at = Timestamp::parse(value).ok_or_else(|| {
                wrong(&format!("compares eventTimestamp with {}, which is no time", shown(value)))
            })?;
            match operator.to_ascii_lowercase().as_str() {
                "ge" | "gt" => self.from = Some(at),
                "le" | "lt" => self.to = Some(at),
                _ => return Err(wrong("compares eventTimestamp by other than ge and le")),
            }
            return Ok(());
        }
        if !operator.eq_ignore_ascii_case("eq") {
            return Err(wrong(&format!("compares {} by other than eq", shown(name))));
        }
        if is("resourceUri") || is("resourceId") {
            self.resource = Some(format!("/{}", value.trim_matches('/')));
        } else if is("eventChannels") {
            // Both channels are this server's one.
        } else if is("resourceTypes") || is("resourceType") {
            let kinds = value.split(',').map(|kind| {
                let kind = kind.trim().split('/').next_back().unwrap_or_default();
                format!("_ResourceId contains {}", quoted(&format!("/{kind}/")))
            });
            self.conditions.push(kinds.collect::<Vec<_>>().join(" or "));
        } else {
            let column = EQUALITIES.iter().find(|(known, _)| is(known)).map(|(_, column)| *column);
            let column = column.ok_or_else(|| {
                let known: Vec<_> = EQUALITIES.iter().map(|(name, _)| *name).collect();
                wrong(&format!(
                    "names {}; eventTimestamp, resourceUri, resourceTypes, eventChannels, {} are known",
                    shown(name),
                    known.join(", ")
                ))
            })?;
            let values: Vec<_> = value.split(',').map(|one| quoted(one.trim())).collect();
            self.conditions.push(format!("{column} in~ ({})", values.join(", ")));
        }
        Ok(())
    }

    /// The query: newest first, at most so many, from the place where the page before ended.
    pub(super) fn query(&self, limit: usize, after: Option<&Place>) -> String {
        let mut query = String::from("AzureActivity");
        for condition in &self.conditions {
            query.push_str("\n| where ");
            query.push_str(condition);
        }
        if let Some(Place { time, id }) = after {
            let (time, id) = (format!("datetime({time})"), quoted(id));
            let _ = write!(
                query,
                "\n| where TimeGenerated < {time} or (TimeGenerated == {time} and strcmp(EventDataId, {id}) > 0)"
            ); // a String takes everything
        }
        let _ = write!(query, "\n| order by TimeGenerated desc, EventDataId asc | take {limit}");
        query
    }
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `TimeGenerated` of its last event, as KQL writes it.
    pub(super) time: String,
    /// Its id.
    pub(super) id: String,
}

/// A word and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// A value in single quotes, doubled within, or a bare word; and what follows it.
fn value(text: &str) -> Result<(String, &str), Error> {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('\'') else {
        let (bare, rest) = word(text);
        return if bare.is_empty() {
            Err(wrong("ends where a value must stand"))
        } else {
            Ok((bare.to_owned(), rest))
        };
    };
    let mut read = String::new();
    loop {
        let end = rest.find('\'').ok_or_else(|| wrong("has a quote that does not end"))?;
        let (part, after) = rest.split_at(end);
        read.push_str(part);
        let after = after.strip_prefix('\'').unwrap_or(after);
        match after.strip_prefix('\'') {
            Some(more) => {
                read.push('\'');
                rest = more;
            }
            None => return Ok((read, after)),
        }
    }
}

/// A text as a KQL literal.
fn quoted(text: &str) -> String {
    let mut literal = String::from("'");
    for character in text.chars() {
        match character {
            '\'' | '\\' => literal.extend(['\\', character]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            _ => literal.push(character),
        }
    }
    literal.push('\'');
    literal
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn wrong(what: &str) -> Error {
    Error::argument(format!("The $filter {what}."))
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;
    use proptest::prelude::*;

    use super::{Filter, Place};

    #[test]
    fn filter_of_the_sdks_becomes_a_query() {
        let filter = Filter::parse(
            "eventTimestamp ge '2026-01-01T00:00:00Z' and eventTimestamp le '2026-01-02T00:00:00Z' \
             and resourceUri eq '/subscriptions/s/resourceGroups/g' and status eq 'Failed,Succeeded'",
        )
        .unwrap();
        assert_eq!(filter.from, Timestamp::parse("2026-01-01T00:00:00Z"));
        assert_eq!(filter.resource.as_deref(), Some("/subscriptions/s/resourceGroups/g"));
        assert_eq!(
            filter.query(10, None),
            "AzureActivity\n| where ActivityStatus in~ ('Failed', 'Succeeded')\n\
             | order by TimeGenerated desc, EventDataId asc | take 10"
        );
        let place = Place { time: "2026-01-01T00:00:00Z".into(), id: "a".into() };
        assert!(
            filter.query(10, Some(&place)).contains("TimeGenerated < datetime(2026-01-01T00:00:00Z) or (")
        );
    }

    #[test]
    fn value_cannot_leave_its_literal() {
        let filter = Filter::parse(r"caller eq 'a\'' or true) | take 1 //'").unwrap();
        assert!(filter.query(1, None).starts_with(
            r"AzureActivity
| where Caller in~ ('a\\\' or true) | take 1 //')"
        ));
    }

    #[test]
    fn filter_that_is_wrong_is_told() {
        for (text, told) in [
            ("level", "value must stand"),
            ("level eq 'x", "does not end"),
            ("level ne 'x'", "other than eq"),
            ("colour eq 'x'", "names colour"),
            ("eventTimestamp ge 'soon'", "no time"),
            ("eventTimestamp eq '2026-01-01T00:00:00Z'", "other than ge and le"),
            ("level eq 'x' or level eq 'y'", "only and"),
        ] {
            let error = Filter::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(Filter::parse(&"level eq 'x' and ".repeat(1_000)).is_err());
        assert!(Filter::parse("").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,200}") {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn every_value_is_one_literal(value in ".{0,40}") {
            let filter = Filter::parse(&format!("caller eq '{}'", value.replace('\'', "''").replace(',', ";"))).unwrap();
            let place = Place { time: "2026-01-01T00:00:00.1234567Z".into(), id: value };
            let text = filter.query(1, Some(&place));
            let tables = [dps_monitor::Table::AzureActivity.schema()];
            let environment = dps_kql::Environment { tables: &tables, now: 0, opened: &[] };
            prop_assert!(dps_kql::analyse(&text, &environment).is_ok(), "{}", text);
        }
    }
}
