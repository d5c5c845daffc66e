//! What a service says of a wrong query, under the line of the query that it means. Must not know KQL.

use dps_kql::Diagnostic;
use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::failure::shown;
use crate::watch::limits::MAX_SHOWN_ERRORS;

/// The failure, or, where the query is at fault, its places in the text.
pub fn told(failure: Failure, query: &str) -> Failure {
    let Failure::Refused(refusal) = &failure else { return failure };
    if refusal.status != 400 {
        return failure;
    }
    let errors = errors(&refusal.inner);
    let blocks: Vec<String> = errors.iter().take(MAX_SHOWN_ERRORS).map(|error| block(error, query)).collect();
    if blocks.is_empty() {
        failure
    } else {
        Failure::Usage(format!("the query is wrong: {}", blocks.join("\n")))
    }
}

/// The errors that have something to say: those in a list, or the deepest.
fn errors(inner: &Value) -> Vec<&Value> {
    let has_text = |error: &&Value| error.get("message").is_some();
    if let Some(details) = inner.get("details").and_then(Value::as_array) {
        return details.iter().filter(has_text).collect();
    }
    let deepest = std::iter::successors(Some(inner), |at| below(at)).last();
    deepest.filter(has_text).into_iter().collect()
}

/// The error within this one, if it says anything.
fn below(at: &Value) -> Option<&Value> {
    at.get("innererror").filter(|inner| inner.get("message").is_some())
}

/// One error: code, message, and carets where it has a place.
fn block(error: &Value, query: &str) -> String {
    let text = |name: &str| shown(error[name].as_str().unwrap_or_default());
    let message = format!("{} {}", text("code"), text("message")).trim().to_owned();
    let number = |name: &str| error[name].as_u64().and_then(|number| usize::try_from(number).ok());
    let (Some(line), Some(column)) = (number("line"), number("pos")) else { return message };
    let Some(start) = offset(query, line, column) else { return message };
    let token = error["token"].as_str().unwrap_or_default();
    let is_there = query.get(start..).is_some_and(|rest| rest.starts_with(token));
    let end = if is_there { start + token.len() } else { start };
    let diagnostic = Diagnostic { code: "", message, start, end, suggestion: None };
    diagnostic.rendered(query).trim().to_owned()
}

/// Where a line (from 1) and a column (from 0, in characters) lie, in bytes.
fn offset(query: &str, line: usize, column: usize) -> Option<usize> {
    let begin = match line.checked_sub(1)? {
        0 => 0,
        above => query.match_indices('\n').nth(above - 1)?.0 + 1,
    };
    let whole = query.get(begin..)?.split('\n').next()?;
    let within = whole.char_indices().nth(column).map_or(whole.len(), |(at, _)| at);
    Some(begin + within)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fleet::api::failure::Refusal;

    fn told(status: u16, inner: &Value, query: &str) -> Failure {
        let body = json!({"error": {"message": "m", "code": "BadArgumentError", "innererror": inner}});
        let refusal = Refusal::read(status, body.to_string().as_bytes(), None);
        super::told(Failure::Refused(Box::new(refusal)), query)
    }

    #[test]
    fn wrong_name_is_underlined_in_its_line() {
        let inner = json!({"code": "SemanticError", "message": "outer", "innererror": {
            "code": "KS142", "message": "The name 'Foo' is unknown.", "line": 2, "pos": 8, "token": "Foo",
        }});
        let failure = told(400, &inner, "T\n| where Foo == 1");
        assert_eq!(failure.exit_status(), 2);
        let shown = "the query is wrong: KS142 The name 'Foo' is unknown.\n --> 2:9\n  |\n2 | | where Foo == 1\n  |         ^^^";
        assert_eq!(failure.to_string(), shown);
    }

    #[test]
    fn every_error_of_a_list_is_shown_and_a_place_that_is_none_is_left_out() {
        let inner = json!({"code": "SyntaxError", "details": [
            {"code": "A", "message": "one", "line": 1, "pos": 99, "token": "zzz"},
            {"code": "B", "message": "two", "line": 7, "pos": 0},
            {"code": "C", "message": "three\u{1b}", "line": 0, "pos": 0},
            {"nothing": 1},
        ]});
        let text = told(400, &inner, "ü |").to_string();
        assert!(text.contains("A one\n --> 1:4\n") && text.contains("\nB two\nC three"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn other_refusals_stay_what_they_are() {
        for (status, inner) in [(400, Value::Null), (403, json!({"message": "no", "line": 1, "pos": 1}))] {
            let failure = told(status, &inner, "T");
            assert!(matches!(failure, Failure::Refused(_)), "{failure}");
        }
    }
}
