//! JSON bodies, read with errors that say where: line, column and path, never the value that stands there (it may be
//! a key). Must not know what is read.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::limits::MAX_EVENT_TEXT;
use crate::{Error, ErrorCode};

/// Reads a body.
///
/// # Errors
/// 400006 with line, column and, for a member of the wrong type, its path.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.is_empty() {
        return Err(malformed("The request body is empty; JSON is expected."));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path: String = error.path().to_string().chars().take(MAX_EVENT_TEXT).collect();
        refused(&path, error.inner())
    })?;
    reader.end().map_err(|error| refused(".", &error))?;
    Ok(read)
}

/// Reads a part of a body that was read as JSON; `path` is where it stands.
///
/// # Errors
/// 400006 with the path of a member of the wrong type.
pub fn read_value<T: DeserializeOwned>(part: serde_json::Value, path: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(part).map_err(|error| {
        let below = match error.path().to_string() {
            below if below == "." => String::new(),
            below if below.starts_with('[') => below,
            below => format!(".{below}"),
        };
        let path: String = format!("{path}{below}").chars().take(MAX_EVENT_TEXT).collect();
        malformed(format!("{path}: {}", without_value(&error.inner().to_string())))
    })
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::with(ErrorCode::BodyMalformed, message)
}

fn refused(path: &str, error: &serde_json::Error) -> Error {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let what = match error.classify() {
        // These are about the grammar and repeat nothing of the body.
        Category::Syntax | Category::Eof | Category::Io => text.to_owned(),
        Category::Data => without_value(text),
    };
    match path {
        "." | "" | "?" => malformed(format!("{what}{place}")),
        _ => malformed(format!("{path}: {what}{place}")),
    }
}

/// serde's sentence about a value of the wrong type, without the value: `invalid type: string "…", expected a map`
/// becomes `a string stands where a map is expected`.
fn without_value(text: &str) -> String {
    let Some((found, expected)) = text.rsplit_once(", expected ") else {
        // `missing field`, `duplicate field` name members of ours; anything else may repeat the value.
        let about_fields = text.starts_with("missing field") || text.starts_with("duplicate field");
        return if about_fields { text.to_owned() } else { "the value is not valid".to_owned() };
    };
    let expected = match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    let kind = found.strip_prefix("invalid type: ").and_then(|rest| {
        ["string", "integer", "floating point", "boolean", "null", "map", "sequence"]
            .into_iter()
            .find(|kind| rest.starts_with(kind))
    });
    match kind {
        Some("map") => format!("an object stands where {expected} is expected"),
        Some("sequence") => format!("an array stands where {expected} is expected"),
        Some("integer" | "floating point") => format!("a number stands where {expected} is expected"),
        Some(kind) => format!("a {kind} stands where {expected} is expected"),
        None => format!("the value is not valid, expected {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, read_value};
    use crate::enrollment::EnrollmentInput;
    use serde_json::json;

    fn why(body: &str) -> String {
        match read::<EnrollmentInput>(body.as_bytes()) {
            Ok(_) => "read".into(),
            Err(error) => {
                assert_eq!(error.code.row().code, 400_006);
                error.message.into_owned()
            }
        }
    }

    #[test]
    fn body_of_the_wrong_shape_named_by_path_line_and_column() {
        assert_eq!(
            why("{\n \"attestation\": {\"type\": 5}\n}"),
            "attestation.type: a number stands where a string is expected at line 2 column 26"
        );
        assert_eq!(
            why(r#"{"iotHubs": ["a", {}]}"#),
            "iotHubs[1]: an object stands where a string is expected at line 1 column 18"
        );
        assert_eq!(
            why(r#"{"provisioningStatus": "on"}"#),
            "provisioningStatus: the value is not valid, expected `enabled` or `disabled` at line 1 column 27"
        );
    }

    #[test]
    fn part_of_the_wrong_shape_named_by_path_without_its_value() {
        let why = |part: serde_json::Value| match read_value::<EnrollmentInput>(part, "enrollments[1]") {
            Ok(_) => "read".into(),
            Err(error) => error.message.into_owned(),
        };
        assert_eq!(why(json!({})), "read");
        assert_eq!(why(json!("c2VjcmV0")), "enrollments[1]: a string stands where an object is expected");
        assert_eq!(
            why(json!({"attestation": {"type": 5}})),
            "enrollments[1].attestation.type: a number stands where a string is expected"
        );
        assert_eq!(
            why(json!({"attestation": {"symmetricKey": "c2VjcmV0, expected x"}})),
            "enrollments[1].attestation.symmetricKey: a string stands where an object is expected"
        );
    }

    #[test]
    fn body_that_is_no_json_named_by_line_and_column() {
        assert_eq!(why(""), "The request body is empty; JSON is expected.");
        assert_eq!(why("{"), "EOF while parsing an object at line 1 column 1");
        assert_eq!(why("{} {}"), "trailing characters at line 1 column 4");
        assert_eq!(why("nonsense"), "expected ident at line 1 column 2");
        let deep = format!("{{\"initialTwin\":{{\"tags\":{{\"a\":{}", "[".repeat(200_000));
        assert!(why(&deep).contains("recursion limit exceeded"), "{}", why(&deep));
    }

    #[test]
    fn body_with_a_key_in_the_wrong_place_not_repeated() {
        for body in [
            r#"{"attestation":{"symmetricKey":"c2VjcmV0, expected c2VjcmV0"}}"#,
            r#"{"attestation":{"symmetricKey":{"primaryKey":{"c2VjcmV0":1}}}}"#,
            r#"{"provisioningStatus":"c2VjcmV0"}"#,
            r#"{"capabilities":{"iotEdge":"c2VjcmV0"}}"#,
        ] {
            let why = why(body);
            assert!(!why.contains("c2VjcmV0") && why.contains("line 1"), "{why}");
        }
    }

    #[test]
    fn body_with_a_long_member_name_is_told_in_bounds() {
        let body = format!("{{\"initialTwin\":{{\"properties\":{{\"desired\":{{\"{}\":", "k".repeat(5000));
        assert!(why(&body).len() < 1300, "{}", why(&body));
    }
}
