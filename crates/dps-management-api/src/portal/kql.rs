//! `POST /portal/kql`: what the editor of queries shows. Owns the JSON and JavaScript's offsets; the language is dps-kql's.

use std::sync::{Arc, LazyLock};

use dps_kql::{Assistance, Environment, Table};
use dps_model::limits::{MAX_ASSISTED_AT_ONCE, MAX_KQL_TEXT};
use dps_model::{Error, ErrorCode};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{PortalApi, Reply, cookie};
use crate::logs::ticks;
use crate::request::{self, Body};

static TABLES: LazyLock<Vec<Table>> =
    LazyLock::new(|| dps_monitor::Table::ALL.iter().map(|table| table.schema()).collect());

/// Looks at queries, few at once: each costs some milliseconds of a thread.
pub(super) struct Assistant(Arc<Semaphore>);

impl Default for Assistant {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_ASSISTED_AT_ONCE)))
    }
}

impl PortalApi {
    /// Answers somebody who is signed in.
    pub(super) async fn kql(&self, head: &Parts, body: &mut Body) -> Result<Reply, Error> {
        let now = self.clock.now();
        let session = match cookie::session(&head.headers) {
            Some(id) if cookie::is_of_own_page(head) => self.access.session(id, now).await,
            _ => None,
        };
        if session.is_none() {
            return Err(Error::new(ErrorCode::Unauthorized));
        }
        request::check_length(&head.headers)?;
        let (text, cursor) = read(&request::json(&head.headers, body).await?)?;
        // Fails only when it is closed, which nobody does.
        let place = Arc::clone(&self.assistant.0).acquire_owned().await.ok();
        let shown = tokio::task::spawn_blocking(move || {
            let units = Units::of(&text);
            let cursor = cursor.map(|at| units.byte(at));
            let environment = Environment { tables: &TABLES, now: ticks(now), opened: &[] };
            let shown = shown(&dps_kql::assist(&text, cursor, &environment), &units);
            drop(place);
            shown
        });
        Ok(Reply::shown(StatusCode::OK, shown.await.map_err(Error::internal)?))
    }
}

fn read(body: &Value) -> Result<(String, Option<usize>), Error> {
    const SHAPE: &str = "write {\"text\": \"…\", \"cursor\": 5}, the cursor in UTF-16 code units";
    let text = body.get("text").and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::argument(format!("text is missing or no text; {SHAPE}.")))?;
    if text.len() > MAX_KQL_TEXT {
        return Err(Error::argument(format!("text is longer than {MAX_KQL_TEXT} bytes.")));
    }
    let cursor = match body.get("cursor") {
        None | Some(Value::Null) => None,
        Some(at) => {
            let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
            Some(at.ok_or_else(|| Error::argument(format!("cursor must be a whole number; {SHAPE}.")))?)
        }
    };
    Ok((text.to_owned(), cursor))
}

fn shown(help: &Assistance, units: &Units<'_>) -> Value {
    let tokens: Vec<Value> = help
        .marks
        .iter()
        .map(|mark| {
            json!({"from": units.unit(mark.start), "to": units.unit(mark.end), "kind": mark.kind.name()})
        })
        .collect();
    let errors: Vec<Value> = help
        .errors
        .iter()
        .map(|error| {
            json!({
                "from": units.unit(error.start),
                "to": units.unit(error.end),
                "code": error.code,
                "message": error.message,
                "suggestion": error.suggestion,
                "severity": "error",
            })
        })
        .collect();
    let completions: Vec<Value> = help
        .completions
        .iter()
        .map(|found| {
            json!({
                "label": found.label,
                "kind": found.kind.name(),
                "detail": found.detail,
                "insert": found.insert,
                "from": units.unit(found.start),
                "to": units.unit(found.end),
            })
        })
        .collect();
    json!({"tokens": tokens, "errors": errors, "completions": completions})
}

/// Bytes of a text in JavaScript's UTF-16 code units, and back.
struct Units<'t> {
    text: &'t str,
    /// Of each byte and of the end; none where they are the same.
    of_bytes: Option<Vec<usize>>,
}

impl<'t> Units<'t> {
    fn of(text: &'t str) -> Self {
        let table = || {
            let mut units = Vec::with_capacity(text.len() + 1);
            let mut at = 0;
            for next in text.chars() {
                units.extend(std::iter::repeat_n(at, next.len_utf8()));
                at += next.len_utf16();
            }
            units.push(at);
            units
        };
        Self { text, of_bytes: (!text.is_ascii()).then(table) }
    }

    fn unit(&self, byte: usize) -> usize {
        match &self.of_bytes {
            None => byte,
            Some(units) => units.get(byte).or(units.last()).copied().unwrap_or_default(),
        }
    }

    fn byte(&self, unit: usize) -> usize {
        if self.of_bytes.is_none() {
            return unit.min(self.text.len());
        }
        let mut at = 0;
        for (byte, next) in self.text.char_indices() {
            if at + next.len_utf16() > unit {
                return byte;
            }
            at += next.len_utf16();
        }
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use dps_kql::{Environment, assist};
    use serde_json::json;

    use super::{TABLES, Units, read, shown};

    #[test]
    fn offsets_are_javascripts() {
        let text = "aü€😀b";
        let units = Units::of(text);
        let of = |part: &str| text.find(part).unwrap();
        for (part, unit) in [("a", 0), ("ü", 1), ("€", 2), ("😀", 3), ("b", 5)] {
            assert_eq!((units.unit(of(part)), units.byte(unit)), (unit, of(part)), "{part}");
        }
        assert_eq!(units.byte(4), of("😀"), "within a pair");
        assert_eq!((units.unit(text.len()), units.byte(6), units.byte(99)), (6, text.len(), text.len()));
        assert_eq!(units.unit(999), 6);
    }

    #[test]
    fn editor_is_shown_pieces_errors_and_columns_of_the_workspace() {
        let text = "AzureDiagnostics // 😀\n| where Categ";
        let units = Units::of(text);
        let environment = Environment { tables: &TABLES, now: 0, opened: &[] };
        let help = shown(&assist(text, Some(text.len()), &environment), &units);
        assert_eq!(help["tokens"][0], json!({"from": 0, "to": 16, "kind": "table"}));
        assert_eq!(help["tokens"][1], json!({"from": 17, "to": 22, "kind": "comment"}));
        assert_eq!((&help["errors"][0]["code"], &help["errors"][0]["from"]), (&json!("KS142"), &json!(31)));
        let category = json!({
            "label": "Category", "kind": "column", "detail": "string", "insert": "Category", "from": 31, "to": 36,
        });
        assert_eq!(help["completions"][0], category);
    }

    #[test]
    fn body_of_another_shape_refused() {
        for body in [
            json!({}),
            json!({"text": 5}),
            json!({"text": "a", "cursor": -1}),
            json!({"text": "a", "cursor": "1"}),
        ] {
            assert!(read(&body).is_err(), "{body}");
        }
        assert!(read(&json!({"text": "x".repeat(70_000)})).is_err());
        assert_eq!(read(&json!({"text": "a", "cursor": null})).unwrap(), ("a".to_owned(), None));
    }
}
