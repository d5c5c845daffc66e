//! Pieces of a query that come from the command line: each must be what it is said to be, and nothing that goes on behind
//! it. Owns that check alone; whether names exist is the service's to say.

use dps_kql::ast::{ExprKind, OperatorKind, Statement};
use dps_kql::{Diagnostic, Diagnostics};

/// What stands before a condition while it is read.
const BEFORE: &str = "T | where ";

/// A condition: one expression that may stand behind `where`.
pub fn checked(text: &str) -> Result<String, String> {
    let text = text.trim();
    let query = format!("{BEFORE}{text}");
    let block =
        dps_kql::parse(&query).map_err(|wrong| format!("it is no condition: {}", rendered(wrong, text)))?;
    let is_one = match block.statements.as_slice() {
        [Statement::Query(expression)] => match &expression.kind {
            ExprKind::Pipe { operators, .. } => {
                matches!(operators.as_slice(), [operator] if matches!(operator.kind, OperatorKind::Where(_)))
            }
            _ => false,
        },
        _ => false,
    };
    if is_one {
        Ok(text.to_owned())
    } else {
        Err("it is more than one condition; join several with `and`".to_owned())
    }
}

/// Its errors, at places in the condition alone.
fn rendered(wrong: Diagnostics, text: &str) -> String {
    let moved = |error: Diagnostic| Diagnostic {
        start: error.start.saturating_sub(BEFORE.len()),
        end: error.end.saturating_sub(BEFORE.len()),
        ..error
    };
    let errors = wrong.errors.into_iter().map(moved).collect();
    Diagnostics { errors, ..wrong }.rendered(text).trim_end().to_owned()
}

/// A name of a table or a column that needs no quotes.
pub fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if is_name { Ok(text.to_owned()) } else { Err("write a name of letters, digits and _".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn condition_is_one_expression_and_nothing_behind_it() {
        for good in [
            "ResultType != 'Success'",
            "(a == 1) or b has \"x | y; z\"",
            "a in (b | project c) // the | rest",
            "tostring(parse_json(properties_s).id) startswith 't'",
        ] {
            assert_eq!(checked(good).as_deref(), Ok(good), "{good}");
        }
        for bad in [
            "true | take 1",
            "true; T",
            "true) | union (T",
            "true | where false",
            "",
            "a ==",
            "(a == 1",
            "let x = 1; x == 1",
            "a == 1 // so\n| take 1",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        assert!(checked("true | take 1").unwrap_err().contains("more than one"));
    }

    #[test]
    fn mistake_is_underlined_where_the_condition_has_it() {
        let text = checked("a == \"ü\" nor b").unwrap_err();
        assert!(text.contains("1 | a == \"ü\" nor b") && text.contains("\n  |          ^"), "{text}");
    }

    #[test]
    fn name_needs_no_quotes() {
        assert_eq!(name(" _ResourceId "), Ok("_ResourceId".to_owned()));
        for bad in ["", "1a", "a b", "a|take 1", "['a']", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
