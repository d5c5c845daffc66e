//! `causes`: the catalogue, for whoever shows it: with the query that finds what a cause befell, ready to be saved. Owns
//! the JSON of an entry; must not know a rule.

use dps_explain::{Entry, Family, catalogue};
use dps_model::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::answer::Answer;

/// All of it, in the order of the page.
pub(super) fn list() -> Answer {
    let entries: Vec<Value> = catalogue::all().map(|(family, entry)| shown(family, entry)).collect();
    Answer::shown(json!({ "value": entries }))
}

/// One entry.
pub(super) fn get(code: &str) -> Result<Answer, Error> {
    let unknown =
        || Error::with(ErrorCode::RouteNotFound, "The catalogue has no cause of that code; list the causes.");
    let (family, entry) = catalogue::find(code).ok_or_else(unknown)?;
    Ok(Answer::shown(shown(family, entry)))
}

fn shown(family: Family, entry: &Entry) -> Value {
    json!({
        "code": entry.code,
        "family": family,
        "title": entry.title,
        "inferred": entry.inferred,
        "meaning": entry.meaning,
        "fix": entry.fix,
        "query": entry.query(),
        "docs": entry.docs(),
    })
}
