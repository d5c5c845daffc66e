//! The memories of a rule as a document. Must not know what they mean.

use std::collections::BTreeMap;

use dps_model::Etag;
use serde::{Deserialize, Serialize};

use super::Memory;
use crate::alerts::evaluation::Series;
use crate::ports::{Kept, Shelf, StateWrite};

/// What a rule remembers, by series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// ARM id of the rule.
    pub rule: String,
    /// Its series that have a memory.
    pub series: BTreeMap<Series, Memory>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    rule: String,
    series: Vec<Memory>,
}

impl Evaluation {
    /// Of a rule that has none.
    pub fn of(rule: &str) -> Self {
        Self { rule: rule.to_owned(), series: BTreeMap::new() }
    }

    /// The id of its document.
    pub fn id(rule: &str) -> String {
        rule.to_ascii_lowercase()
    }

    /// Reads a document. Damage is said, and counts as nothing: the rule fires anew.
    pub fn read(kept: &Kept) -> Self {
        match serde_json::from_str::<Body>(&kept.body) {
            Ok(Body { rule, series }) => {
                let by_series = series.into_iter().map(|memory| (memory.series.clone(), memory)).collect();
                Self { rule, series: by_series }
            }
            Err(error) => {
                tracing::error!(rule = kept.id, %error, "what an alert rule remembers cannot be read");
                Self::of(&kept.id)
            }
        }
    }

    /// Writes it over that version, and says which version it is then.
    pub fn write(&self, over: Option<Etag>) -> (StateWrite, Etag) {
        let body = Body { rule: self.rule.clone(), series: self.series.values().cloned().collect() };
        // Plain fields: it cannot fail.
        let body = serde_json::to_string(&body).unwrap_or_default();
        let etag = Etag::fresh();
        let document = Kept { id: Self::id(&self.rule), etag: etag.clone(), body, sealed: None };
        (StateWrite::Put { shelf: Shelf::Evaluations, document, over: Some(over) }, etag)
    }
}
