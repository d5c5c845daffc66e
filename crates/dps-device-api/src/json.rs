//! The one JSON body that devices send, read with errors that name the place. Shared by the fronts; must not know which.

use dps_model::registration::DeviceRegistration;
use dps_model::{Error, ErrorCode, limits};

/// Reads a registration. The error names line, column and member.
pub fn registration(body: &[u8]) -> Result<DeviceRegistration, Error> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("at line 1, column 1: an object is expected"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read: DeviceRegistration = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let member = if matches!(path.as_str(), "." | "?") { String::new() } else { format!(", at {path}") };
        malformed(&format!("{}{member}", place(&inner)))
    })?;
    json.end().map_err(|error| malformed(&place(&error)))?;
    if read.payload.as_ref().is_some_and(|payload| depth(payload.get()) > limits::MAX_JSON_DEPTH) {
        return Err(malformed(&format!(
            "at payload: it is nested deeper than {} levels",
            limits::MAX_JSON_DEPTH
        )));
    }
    Ok(read)
}

/// How deep a valid JSON text is nested. A payload kept as text was skipped without recursion, but whoever reads it
/// later would recurse.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = text,
            b'"' => text = !text,
            _ if text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// `serde_json` writes the place behind its reason; the texts of its reasons hold no secret but may hold a value, so
/// only the kind of failure is told.
fn place(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the text ends too early",
        serde_json::error::Category::Syntax => "this is not JSON",
        serde_json::error::Category::Data => "the value has the wrong type",
        serde_json::error::Category::Io => "the text cannot be read",
    };
    format!("at line {line}, column {column}: {what}")
}

fn malformed(why: &str) -> Error {
    Error::with(ErrorCode::BodyMalformed, format!("The request body is malformed {why}."))
}

#[cfg(test)]
mod tests {
    use super::registration;

    #[test]
    fn registration_whole_body_read_and_payload_kept_verbatim() {
        let body =
            br#"{"registrationId":"d","payload":{"a": [1.0, 2]},"tpm":{"endorsementKey":"AToA\/"},"new":1}"#;
        let read = registration(body).unwrap();
        assert_eq!(read.registration_id.as_deref(), Some("d"));
        assert_eq!(read.payload.unwrap().get(), r#"{"a": [1.0, 2]}"#);
        assert_eq!(read.tpm.unwrap().endorsement_key, "AToA/");
        assert!(registration(br#"{"payload":null}"#).unwrap().payload.is_none());
    }

    #[test]
    fn registration_malformed_body_names_the_place() {
        for (body, place) in [
            (
                &br#"{"registrationId":7}"#[..],
                "line 1, column 19: the value has the wrong type, at registrationId",
            ),
            (b"{\"tpm\":\n{\"endorsementKey\":[]}}", "line 2, column"),
            (br#"{"tpm":{"endorsementKey":[]}}"#, "at tpm.endorsementKey"),
            (br#"{"payload":{}"#, "ends too early"),
            (b"{} x", "line 1, column 4: this is not JSON"),
            (b"[]", "an object is expected"),
            (b"\xff", "an object is expected"),
            (b"{\"registrationId\":\"\xff\"}", "line 1"),
        ] {
            let message = registration(body).unwrap_err().message.into_owned();
            assert!(message.contains(place), "{message}");
        }
        for (levels, legal) in [(127, true), (128, false), (4000, false)] {
            let deep = format!(r#"{{"payload":{}"\"[[{{{{"{}}}"#, "[".repeat(levels), "]".repeat(levels));
            assert_eq!(registration(deep.as_bytes()).is_ok(), legal, "{levels} levels");
        }
    }
}
