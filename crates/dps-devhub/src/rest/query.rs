//! `POST /devices/query`: `SELECT * FROM devices [WHERE path = literal AND …]`, with paging. Owns this subset of IoT
//! Hub's query language; everything else is refused by name. A page is read, filtered and answered; it may be empty.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use dps_model::limits::{
    DEFAULT_HUB_PAGE, MAX_HUB_QUERY, MAX_HUB_QUERY_CONDITIONS, MAX_HUB_QUERY_PAGE, MAX_PAGE,
};
use http::header::HeaderName;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Call};
use crate::failure::HubFailure;
use crate::registry::Device;

const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

#[derive(Deserialize)]
struct QueryBody {
    query: String,
}

pub(super) async fn run(call: &Call<'_>) -> Result<Answer, HubFailure> {
    let conditions = parse(&call.object::<QueryBody>()?.query)?;
    let limit = match call.header(&MAX_ITEM_COUNT) {
        None => DEFAULT_HUB_PAGE,
        Some(text) => text.parse::<usize>().ok().filter(|count| *count > 0).map_or_else(
            || Err(HubFailure::argument("x-ms-max-item-count is a positive number")),
            |count| Ok(count.min(MAX_PAGE)),
        )?,
    };
    let after = call
        .header(&CONTINUATION)
        .filter(|text| !text.is_empty())
        .map(|text| {
            percent_decode_str(text)
                .decode_utf8()
                .map_err(|_| HubFailure::argument("x-ms-continuation is not from this hub"))
        })
        .transpose()?;
    let (mut rows, mut size) = (Vec::new(), 0);
    let take = |device: &Device| {
        let twin = device.twin_json(call.hub.presence.activity(&device.id));
        if conditions.iter().all(|condition| condition.holds(&twin)) {
            size += twin.to_string().len();
            rows.push(twin);
        }
        if size > MAX_HUB_QUERY_PAGE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let after = after.map(Cow::into_owned);
    let last = call.hub.registry.visit(after, limit, take).await?;
    let next = last.map(|id| utf8_percent_encode(&id, NON_ALPHANUMERIC).to_string());
    let answer = Answer::json(Value::Array(rows)).with(ITEM_TYPE, "Twin");
    Ok(match next {
        Some(next) => answer.with(CONTINUATION, &next),
        None => answer,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    path: Vec<String>,
    operator: Operator,
    literal: Value,
}

impl Condition {
    fn holds(&self, twin: &Value) -> bool {
        let found = self.path.iter().try_fold(twin, |value, key| value.get(key));
        let Some(order) = found.and_then(|value| compare(value, &self.literal)) else {
            // What is absent, or of another type, differs and has no order.
            return self.operator == Operator::NotEqual && found.is_some();
        };
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Literal(Value),
    Operator(Operator),
    Star,
}

const SERVED: &str = "the development hub serves SELECT * FROM devices [WHERE {path} = {literal} [AND …]]";

fn unserved(why: &str) -> HubFailure {
    HubFailure::argument(format!("{why}; {SERVED}"))
}

fn parse(text: &str) -> Result<Vec<Condition>, HubFailure> {
    if text.len() > MAX_HUB_QUERY {
        return Err(HubFailure::argument(format!("A query has at most {MAX_HUB_QUERY} bytes")));
    }
    let tokens = tokens(text)?;
    let mut rest = tokens.iter();
    let is = |token: Option<&Token>, word: &str| matches!(token, Some(Token::Word(text)) if text.eq_ignore_ascii_case(word));
    if !is(rest.next(), "select") || rest.next() != Some(&Token::Star) || !is(rest.next(), "from") {
        return Err(unserved("The query does not begin with SELECT * FROM"));
    }
    if !is(rest.next(), "devices") {
        return Err(unserved("The query does not read devices"));
    }
    let mut conditions = Vec::new();
    let mut joint = "where";
    while let Some(token) = rest.next() {
        if !is(Some(token), joint) {
            return Err(unserved(&format!("{} is expected", joint.to_ascii_uppercase())));
        }
        joint = "and";
        let (Some(Token::Word(path)), Some(Token::Operator(operator)), Some(Token::Literal(literal))) =
            (rest.next(), rest.next(), rest.next())
        else {
            return Err(unserved("A condition is not {path} {operator} {literal}"));
        };
        if conditions.len() == MAX_HUB_QUERY_CONDITIONS {
            return Err(unserved(&format!("More than {MAX_HUB_QUERY_CONDITIONS} conditions")));
        }
        let path = path.strip_prefix("devices.").unwrap_or(path);
        conditions.push(Condition {
            path: path.split('.').map(ToOwned::to_owned).collect(),
            operator: *operator,
            literal: literal.clone(),
        });
    }
    Ok(conditions)
}

fn tokens(text: &str) -> Result<Vec<Token>, HubFailure> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '*' => (Token::Star, 1),
            '\'' | '"' => quoted(rest, first)?,
            '=' | '<' | '>' | '!' => operator(rest)?,
            c if c.is_ascii_digit() || c == '-' => number(rest)?,
            c if c.is_alphabetic() || matches!(c, '_' | '$' | '[') => word(rest),
            c => return Err(unserved(&format!("The character {c:?} is not understood"))),
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// A text; a doubled quote stands for one.
fn quoted(rest: &str, quote: char) -> Result<(Token, usize), HubFailure> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            text.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            text.push(c);
            characters.next();
        } else {
            return Ok((Token::Literal(Value::String(text)), at + c.len_utf8()));
        }
    }
    Err(unserved("A text has no closing quote"))
}

fn operator(rest: &str) -> Result<(Token, usize), HubFailure> {
    let known = [
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("!=", Operator::NotEqual),
        ("<>", Operator::NotEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let found = known.iter().find(|(text, _)| rest.starts_with(text));
    let (text, operator) = found.ok_or_else(|| unserved("An operator is not understood"))?;
    Ok((Token::Operator(*operator), text.len()))
}

fn number(rest: &str) -> Result<(Token, usize), HubFailure> {
    let length = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
        .unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    let number = serde_json::from_str(text).map_err(|_| unserved("A number is not understood"))?;
    Ok((Token::Literal(Value::Number(number)), length))
}

fn word(rest: &str) -> (Token, usize) {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-');
    let length = rest.find(|c: char| !inside(c)).unwrap_or(rest.len()).max(1);
    let text = rest.get(..length).unwrap_or_default();
    let token = match text {
        "true" => Token::Literal(Value::Bool(true)),
        "false" => Token::Literal(Value::Bool(false)),
        _ => Token::Word(text.to_owned()),
    };
    (token, length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn query_conditions_judge_a_twin() {
        let twin = json!({
            "deviceId": "a", "status": "enabled", "tags": {"site": "o'hara", "floor": 3},
            "properties": {"desired": {"on": true}}
        });
        for (query, expected) in [
            ("SELECT * FROM devices", true),
            ("select * from devices where deviceId = 'a'", true),
            ("SELECT * FROM devices WHERE devices.deviceId='b'", false),
            ("SELECT * FROM devices WHERE tags.site = 'o''hara' AND tags.floor >= 3", true),
            ("SELECT * FROM devices WHERE tags.floor < 3", false),
            ("SELECT * FROM devices WHERE properties.desired.on = true", true),
            ("SELECT * FROM devices WHERE tags.none != 'x'", false),
            ("SELECT * FROM devices WHERE tags.site <> 'x'", true),
        ] {
            let conditions = parse(query).unwrap();
            assert_eq!(conditions.iter().all(|c| c.holds(&twin)), expected, "{query}");
        }
    }

    #[test]
    fn query_beyond_the_subset_refused_with_what_is_served() {
        for query in [
            "",
            "SELECT",
            "SELECT COUNT() FROM devices",
            "SELECT * FROM devices.jobs",
            "SELECT * FROM devices ORDER BY deviceId",
            "SELECT * FROM devices WHERE deviceId = 'a",
            "SELECT * FROM devices WHERE deviceId IN ['a']",
            "SELECT * FROM devices WHERE deviceId = 'a' OR deviceId = 'b'",
            "SELECT * FROM devices WHERE a = 1e",
            "é",
            "SELECT * FROM devices WHERE [",
        ] {
            let failure = parse(query).unwrap_err();
            assert!(failure.message.contains("SELECT * FROM devices"), "{query}: {}", failure.message);
        }
    }
}
