//! `attempts`: what the attempt log has of a provisioning service, newest first. Owns the question's parameters and the
//! JSON of a line; must not know where lines are kept.

use std::fmt::Write as _;

use dps_events::attempt_log::{Found, Kept, Key, Lookup, Position};
use dps_model::instance::Instance;
use dps_model::limits::{MAX_ATTEMPTS_FOUND, MAX_EVENT_TEXT};
use dps_model::{Error, ErrorCode, Timestamp};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::VERSION;
use crate::answer::Answer;
use crate::request::{self, parameter};
use crate::service::ManagementApi;

/// Lines in an answer when nobody says how many.
const USUAL: usize = 50;
/// Parameters that the link to the next page keeps.
const KEPT: [&str; 7] = ["registrationId", "trackingId", "operationId", "refused", "after", "from", "to"];

impl ManagementApi {
    /// Answers what is asked of the attempt log.
    pub(super) async fn attempts(&self, instance: &Instance, head: &Parts) -> Result<Answer, Error> {
        let is_default = self.instances.default_instance().resource_id == instance.resource_id;
        let lookup = lookup(head, &names(instance, is_default))?;
        let top = lookup.most;
        let found = self.find_lines(lookup).await?;
        let mut shown = json!({
            "value": found.lines.iter().map(line).collect::<Result<Vec<_>, _>>()?,
            "unreadable": found.unreadable,
        });
        if let Some(newest) = found.lines.first() {
            shown["position"] = Value::String(newest.position.to_string());
        }
        if let Some(next) = found.next {
            shown["nextLink"] = Value::String(next_link(head, next, top));
        }
        Ok(Answer::shown(shown))
    }

    /// Lines of the attempt log.
    pub(super) async fn find_lines(&self, lookup: Lookup) -> Result<Found, Error> {
        let attempts =
            self.diagnosis.attempts.as_ref().ok_or_else(|| {
                Error::with(ErrorCode::RouteNotFound, "This server keeps no log of attempts.")
            })?;
        attempts.find(lookup).await.map_err(Error::internal)
    }
}

/// The names that lines of a provisioning service have; those that name none are the default one's.
pub(super) fn names(instance: &Instance, is_default: bool) -> Vec<Option<String>> {
    let own = Some(instance.name.clone());
    if is_default { vec![own, None] } else { vec![own] }
}

fn lookup(head: &Parts, names: &[Option<String>]) -> Result<Lookup, Error> {
    let of = |key: &dyn Fn(Option<&str>) -> Key| names.iter().map(|name| key(name.as_deref())).collect();
    let mut about: Vec<Vec<Key>> = Vec::new();
    about.extend(text(head, "trackingId")?.map(|id| vec![Key::tracking(&id)]));
    about.extend(text(head, "operationId")?.map(|id| vec![Key::operation(&id)]));
    about.extend(text(head, "registrationId")?.map(|id| of(&|name| Key::registration(name, &id))));
    if flag(head, "refused")? {
        about.push(of(&Key::refused));
    }
    about.push(of(&Key::instance));
    let any = about.remove(0);
    let (after, later) = after(head)?;
    let from = time(head, "from")?;
    Ok(Lookup {
        any,
        all: about,
        after,
        before: position(head, "before")?,
        from: from.max(later),
        to: time(head, "to")?,
        most: top(head)?,
    })
}

/// A parameter's text; an empty one counts as absent.
pub(super) fn text(head: &Parts, name: &str) -> Result<Option<String>, Error> {
    let Some(text) = parameter(head, name).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.len() > MAX_EVENT_TEXT {
        return Err(Error::argument(format!("{name} is longer than {MAX_EVENT_TEXT} bytes.")));
    }
    Ok(Some(text.into_owned()))
}

/// A parameter's time.
pub(super) fn time(head: &Parts, name: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text(head, name)? else { return Ok(None) };
    let time = Timestamp::parse(&text);
    let wrong = || Error::argument(format!("{name} is no time; write it like 2026-11-29T08:00:00Z."));
    time.ok_or_else(wrong).map(Some)
}

fn flag(head: &Parts, name: &str) -> Result<bool, Error> {
    match text(head, name)?.as_deref() {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Error::argument(format!("{name} is true or false."))),
    }
}

fn position(head: &Parts, name: &str) -> Result<Option<Position>, Error> {
    let Some(text) = text(head, name)? else { return Ok(None) };
    let wrong = |_| Error::argument(format!("{name} is no position that an answer of attempts had."));
    text.parse().map_err(wrong).map(Some)
}

/// Later than a line, or than a time.
fn after(head: &Parts) -> Result<(Option<Position>, Option<Timestamp>), Error> {
    let Some(text) = text(head, "after")? else { return Ok((None, None)) };
    if let Ok(position) = text.parse() {
        return Ok((Some(position), None));
    }
    let later = Timestamp::parse(&text).map(|time| time.plus_millis(1));
    let wrong = "after is the position that an answer of attempts had, or a time like 2026-11-29T08:00:00Z.";
    later.map(|later| (None, Some(later))).ok_or_else(|| Error::argument(wrong.to_owned()))
}

fn top(head: &Parts) -> Result<usize, Error> {
    let Some(text) = text(head, "$top")? else { return Ok(USUAL) };
    let top = text.parse().ok().filter(|top| (1..=MAX_ATTEMPTS_FOUND).contains(top));
    top.ok_or_else(|| Error::argument(format!("$top is a number from 1 to {MAX_ATTEMPTS_FOUND}.")))
}

/// A line, with what is asked for most beside it.
fn line(kept: &Kept) -> Result<Value, Error> {
    let row: Value = serde_json::from_str(&kept.line).map_err(Error::internal)?;
    let record = &row["properties"];
    let outcome = &record["outcome"];
    let error = (outcome["result"] == "failed")
        .then(|| json!({ "code": outcome["code"], "name": outcome["name"], "message": outcome["message"] }));
    let id = ["registrationId", "id", "deviceId"].iter().find_map(|name| record[name].as_str());
    let shown = json!({
        "position": kept.position.to_string(),
        "trackingId": row["correlationId"],
        "time": row["time"],
        "durationMs": millis(record["micros"].as_u64().unwrap_or(0)),
        "event": record["event"],
        "operation": row["operationName"],
        "registrationId": id,
        "protocol": record["protocol"],
        "result": match record["status"].as_str() {
            Some("disabled") => "refused",
            _ => result(row["resultType"].as_str().unwrap_or_default()),
        },
        "error": error,
        "causes": record["causes"].as_array().cloned().unwrap_or_default(),
        "record": row,
    });
    Ok(shown)
}

/// Milliseconds with three places.
#[allow(clippy::cast_precision_loss)] // far below 2^53
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn result(result_type: &str) -> &'static str {
    match result_type {
        "Success" => "ok",
        "ClientError" => "refused",
        _ => "failed",
    }
}

fn next_link(head: &Parts, next: Position, top: usize) -> String {
    let (host, path) = (request::host(head), head.uri.path());
    let mut link = format!("https://{host}{path}?api-version={VERSION}&%24top={top}&before={next}");
    for name in KEPT {
        if let Some(value) = parameter(head, name).filter(|value| !value.is_empty()) {
            let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            let _ = write!(link, "&{name}={value}"); // a String takes everything
        }
    }
    link
}
