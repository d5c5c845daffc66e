//! The queries of `tests/queries` and what the official parser says of them.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the official parser says of one query.
#[derive(Deserialize)]
pub struct Verdict {
    pub query: String,
    /// Codes of errors of syntax.
    pub syntax: Vec<String>,
    /// Codes of all errors.
    pub codes: Vec<String>,
    /// Names and types of what comes out, where it is legal and tabular.
    #[serde(default)]
    pub columns: Option<Vec<(String, String)>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries")
}

/// All verdicts, by the file of the query.
pub fn verdicts() -> BTreeMap<String, Vec<Verdict>> {
    let golden = std::fs::read_to_string(folder().join("oracle.json")).unwrap();
    serde_json::from_str(&golden).unwrap()
}

/// Queries as the files have them: a blank line stands between two.
pub fn queries() -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "kql") {
            let text = std::fs::read_to_string(&path).unwrap();
            let queries =
                text.split("\n\n").map(|query| query.trim().to_owned()).filter(|query| !query.is_empty());
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), queries.collect());
        }
    }
    files
}
