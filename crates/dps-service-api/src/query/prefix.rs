//! What a condition says of the ids that it takes, so that a store of a million is not looked through for a few. It may
//! know less than the condition says, never more. Must not know how rows are found.

use super::syntax::{Condition, Literal, Operand, Operator, Path, Step, TextFunction};

/// The members by which the rows of each kind are kept.
const IDS: [&str; 2] = ["registrationId", "enrollmentGroupId"];

/// The beginning, in lower case, of the id of every row of which the condition is true.
pub(super) fn of(condition: &Condition) -> String {
    match condition {
        Condition::And(parts) => parts.iter().map(of).max_by_key(String::len).unwrap_or_default(),
        Condition::Text { function: TextFunction::StartsWith, operand, part, .. } if is_id(operand) => {
            part.to_ascii_lowercase()
        }
        Condition::Compare(one, Operator::Equal, other) => match (one, other) {
            (id, Operand::Literal(Literal::Text(text))) | (Operand::Literal(Literal::Text(text)), id)
                if is_id(id) =>
            {
                text.to_ascii_lowercase()
            }
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn is_id(operand: &Operand) -> bool {
    let Operand::Path(Path { steps, .. }) = operand else { return false };
    matches!(&steps[..], [Step::Name(name)] if IDS.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use crate::query::{Query, Rows};

    #[test]
    fn ids_begin_as_the_condition_says_and_no_more_is_guessed() {
        for (condition, prefix) in [
            ("STARTSWITH(registrationId, 'Press-')", "press-"),
            ("STARTSWITH(registrationId, 'press-', true) AND provisioningStatus <> 'disabled'", "press-"),
            (
                "STARTSWITH(registrationId, 'p') AND (registrationId = 'PRESS-1' AND deviceId = 'x')",
                "press-1",
            ),
            ("'press-1' = registrationId", "press-1"),
            ("registrationId = deviceId", ""),
            ("registrationId <> 'press-1'", ""),
            ("registrationId >= 'press-1'", ""),
            ("STARTSWITH(registrationId, 'a') OR STARTSWITH(registrationId, 'b')", ""),
            ("NOT STARTSWITH(registrationId, 'a')", ""),
            ("CONTAINS(registrationId, 'a')", ""),
            ("STARTSWITH(deviceId, 'a')", ""),
            ("STARTSWITH(initialTwin.tags.registrationId, 'a')", ""),
        ] {
            let text = format!("SELECT * WHERE {condition}");
            let query = Query::parse(&text, Rows::Enrollments).unwrap();
            assert_eq!(query.id_prefix(), prefix, "{condition}");
        }
        let groups = Query::parse("* WHERE STARTSWITH(enrollmentGroupId, 'Line')", Rows::EnrollmentGroups);
        assert_eq!(groups.unwrap().id_prefix(), "line");
    }
}
