//! `$filter` of the metrics API: `A eq 'a1' and B eq 'b1' or B eq 'b2' and C eq '*'`. `or` binds tighter than `and`, since
//! it joins conditions on one dimension only; `ne` and `sw` are Grafana's. Every dimension that is named splits.

use std::iter::Peekable;
use std::str::CharIndices;

use dps_model::limits::{MAX_METRIC_CONDITIONS, MAX_METRIC_FILTER};

use super::definition::Definition;

/// A filter, for one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// All of these must hold.
    pub groups: Vec<Group>,
}

/// Conditions on one subject, one of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What is looked at.
    pub subject: Subject,
    /// As it was spelt.
    pub name: String,
    /// How.
    pub conditions: Vec<Condition>,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The dimension at that place of the definition.
    Dimension(usize),
    /// `Microsoft.ResourceId`.
    ResourceId,
    /// `Microsoft.ResourceGroupName`.
    ResourceGroup,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// How it compares.
    pub test: Test,
    /// With what.
    pub value: String,
}

/// How a condition compares; case is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `eq`; `*` stands for any value.
    Is,
    /// `ne`.
    IsNot,
    /// `sw`.
    StartsWith,
}

/// Why a filter is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is too long.
    #[error(
        "The filter is longer than {MAX_METRIC_FILTER} bytes or has more than {MAX_METRIC_CONDITIONS} conditions."
    )]
    TooLong,
    /// A word is missing or wrong.
    #[error("The filter is not understood at character {0}: expected {1}.")]
    Syntax(usize, &'static str),
    /// Dimensions differ on both sides of `or`.
    #[error(
        "The filter joins the dimensions '{0}' and '{1}' by 'or'; only conditions on one dimension can be joined so."
    )]
    Mixed(String, String),
    /// No such dimension.
    #[error("The metric '{metric}' does not have the dimension '{dimension}'; it has {known}.")]
    Dimension {
        /// Of which metric.
        metric: &'static str,
        /// As it was spelt.
        dimension: String,
        /// Those that it has.
        known: String,
    },
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        let wanted = self.value.as_str();
        match self.test {
            Test::Is => wanted == "*" || wanted.eq_ignore_ascii_case(value),
            Test::IsNot => !wanted.eq_ignore_ascii_case(value),
            Test::StartsWith => {
                value.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
            }
        }
    }
}

impl Group {
    /// Does the value satisfy one of the conditions?
    pub fn holds(&self, value: &str) -> bool {
        self.conditions.iter().any(|condition| condition.holds(value))
    }
}

impl Filter {
    /// Reads a filter of that metric; what names no dimension of it is refused, or left out where `lenient` says so.
    pub fn parse(text: &str, definition: &Definition, lenient: bool) -> Result<Self, FilterError> {
        if text.len() > MAX_METRIC_FILTER {
            return Err(FilterError::TooLong);
        }
        let mut words = Words { rest: text.char_indices().peekable(), length: text.len() };
        let mut groups: Vec<Group> = Vec::new();
        let mut conditions = 0_usize;
        let mut joined_by_or = false;
        loop {
            let (name, condition) = words.condition()?;
            conditions += 1;
            if conditions > MAX_METRIC_CONDITIONS {
                return Err(FilterError::TooLong);
            }
            match groups.last_mut().filter(|_| joined_by_or) {
                Some(group) if group.name.eq_ignore_ascii_case(&name) => group.conditions.push(condition),
                Some(group) => return Err(FilterError::Mixed(group.name.clone(), name)),
                None => {
                    let subject = Subject::Dimension(usize::MAX);
                    groups.push(Group { subject, name, conditions: vec![condition] });
                }
            }
            match words.joint()? {
                Some(or) => joined_by_or = or,
                None => break,
            }
        }
        Self::bound(groups, definition, lenient)
    }

    fn bound(groups: Vec<Group>, definition: &Definition, lenient: bool) -> Result<Self, FilterError> {
        let mut bound = Vec::with_capacity(groups.len());
        for group in groups {
            match subject(&group.name, definition) {
                Some(subject) => bound.push(Group { subject, ..group }),
                None if lenient => {}
                None => {
                    return Err(FilterError::Dimension {
                        metric: definition.name,
                        dimension: group.name,
                        known: match definition.dimensions {
                            [] => "none".into(),
                            some => some.join(", "),
                        },
                    });
                }
            }
        }
        Ok(Self { groups: bound })
    }

    /// The subjects that it names, in order, each once.
    pub fn subjects(&self) -> Vec<Subject> {
        let mut subjects = Vec::new();
        for group in &self.groups {
            if !subjects.contains(&group.subject) {
                subjects.push(group.subject);
            }
        }
        subjects
    }
}

/// What a name means for a metric.
pub(super) fn subject(name: &str, definition: &Definition) -> Option<Subject> {
    match definition.dimension(name) {
        Some(place) => Some(Subject::Dimension(place)),
        None if name.eq_ignore_ascii_case("Microsoft.ResourceId") => Some(Subject::ResourceId),
        None if name.eq_ignore_ascii_case("Microsoft.ResourceGroupName") => Some(Subject::ResourceGroup),
        None => None,
    }
}

/// The text, word by word. A parenthesis is allowed around what `or` joins and says nothing more.
struct Words<'a> {
    rest: Peekable<CharIndices<'a>>,
    length: usize,
}

impl Words<'_> {
    fn condition(&mut self) -> Result<(String, Condition), FilterError> {
        self.skip('(');
        let name = self.word();
        if name.is_empty() {
            return Err(self.expected("the name of a dimension"));
        }
        let test = match self.word().to_ascii_lowercase().as_str() {
            "eq" => Test::Is,
            "ne" => Test::IsNot,
            "sw" | "startswith" => Test::StartsWith,
            _ => return Err(self.expected("'eq', 'ne' or 'sw'")),
        };
        let value = self.quoted()?;
        self.skip(')');
        Ok((name, Condition { test, value }))
    }

    /// `or`, `and`, or the end.
    fn joint(&mut self) -> Result<Option<bool>, FilterError> {
        let word = self.word();
        match word.to_ascii_lowercase().as_str() {
            "or" => Ok(Some(true)),
            "and" => Ok(Some(false)),
            "" if self.rest.peek().is_none() => Ok(None),
            _ => Err(self.expected("'and', 'or' or the end")),
        }
    }

    fn spaces(&mut self) {
        while self.rest.next_if(|(_, character)| character.is_whitespace()).is_some() {}
    }

    fn skip(&mut self, wanted: char) {
        self.spaces();
        while self.rest.next_if(|(_, character)| *character == wanted).is_some() {
            self.spaces();
        }
    }

    fn word(&mut self) -> String {
        self.spaces();
        let mut word = String::new();
        while let Some((_, character)) = self
            .rest
            .next_if(|(_, character)| !character.is_whitespace() && !matches!(character, '\'' | '(' | ')'))
        {
            word.push(character);
        }
        word
    }

    /// A text between apostrophes; two of them stand for one.
    fn quoted(&mut self) -> Result<String, FilterError> {
        self.spaces();
        if self.rest.next_if(|(_, character)| *character == '\'').is_none() {
            return Err(self.expected("a value in apostrophes"));
        }
        let mut value = String::new();
        while let Some((_, character)) = self.rest.next() {
            if character != '\'' {
                value.push(character);
            } else if self.rest.next_if(|(_, next)| *next == '\'').is_some() {
                value.push('\'');
            } else {
                return Ok(value);
            }
        }
        Err(self.expected("an apostrophe"))
    }

    fn expected(&mut self, what: &'static str) -> FilterError {
        FilterError::Syntax(self.rest.peek().map_or(self.length, |(place, _)| *place), what)
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, FilterError, Subject, Test};
    use crate::metrics::Metric;

    fn parse(text: &str) -> Result<Filter, FilterError> {
        Filter::parse(text, Metric::AttestationAttempts.definition(), false)
    }

    #[test]
    fn filter_or_binds_tighter_than_and() {
        let text = "status eq 'Success' and PROTOCOL eq 'Mqtt' or Protocol eq 'Http' and ProvisioningServiceName eq '*'";
        let filter = parse(text).unwrap();
        let shape: Vec<_> =
            filter.groups.iter().map(|group| (group.subject, group.conditions.len())).collect();
        let at = Subject::Dimension;
        assert_eq!(shape, [(at(1), 1), (at(2), 2), (at(0), 1)]);
        assert!(
            filter.groups[1].holds("http")
                && filter.groups[1].holds("Mqtt")
                && !filter.groups[1].holds("Amqp")
        );
        assert!(filter.groups[2].holds("anything"));
    }

    #[test]
    fn filter_of_grafana_and_quotes() {
        let filter = parse("(Status ne 'Success') and (Protocol sw 'Mqtt' or Protocol eq 'it''s')").unwrap();
        assert_eq!(filter.groups[0].conditions[0].test, Test::IsNot);
        assert!(!filter.groups[0].holds("success") && filter.groups[0].holds("Failure"));
        assert!(filter.groups[1].holds("MqttWs") && filter.groups[1].holds("it's"));
        assert!(!filter.groups[1].holds("Mqt"));
        assert_eq!(filter.subjects(), [Subject::Dimension(1), Subject::Dimension(2)]);
        let id = parse("Microsoft.ResourceId eq '/a' or microsoft.resourceid eq '/b'").unwrap();
        assert_eq!(id.subjects(), [Subject::ResourceId]);
    }

    #[test]
    fn filter_wrong_is_refused_with_a_sentence() {
        for (text, part) in [
            ("", "expected the name"),
            ("Status", "expected 'eq'"),
            ("Status gt 'x'", "expected 'eq'"),
            ("Status eq x", "apostrophes"),
            ("Status eq 'x", "an apostrophe"),
            ("Status eq 'x' xor Status eq 'y'", "'and', 'or'"),
            ("Status eq 'x' and", "name of a dimension"),
            ("Status eq 'x' or Protocol eq 'y'", "joins the dimensions"),
            ("IotHubName eq 'x'", "does not have the dimension 'IotHubName'"),
            (&"Status eq 'x' or ".repeat(101), "longer than"),
            (&"(".repeat(5_000), "longer than"),
            (&"(".repeat(4_000), "expected the name"),
            ("é", "expected 'eq'"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let lenient = Filter::parse("X eq 'y'", Metric::AttestationAttempts.definition(), true).unwrap();
        assert_eq!(lenient, Filter::default());
    }
}
