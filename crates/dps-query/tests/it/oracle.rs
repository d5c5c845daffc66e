//! The queries of `tests/queries` are legal, or not, to the official parser as well, and have the columns it says.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// What the official parser says of a query; `tests/kql-oracle` writes it.
#[derive(Deserialize)]
struct Verdict {
    query: String,
    codes: Vec<String>,
    #[serde(default)]
    columns: Option<Vec<(String, String)>>,
}

#[test]
fn queries_are_legal_and_have_columns_as_the_official_parser_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queries");
    let golden = std::fs::read_to_string(folder.join("oracle.json")).unwrap();
    let verdicts: BTreeMap<String, Vec<Verdict>> = serde_json::from_str(&golden).unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for (file, verdicts) in verdicts {
        let cases = super::queries::cases(&folder.join(&file));
        let kept: Vec<_> = cases.iter().map(|(query, _)| query.as_str()).collect();
        let asked: Vec<_> = verdicts.iter().map(|verdict| verdict.query.as_str()).collect();
        assert_eq!(asked, kept, "{file}: run node tests/kql-oracle/oracle.mjs --write");
        for (verdict, (query, expected)) in verdicts.iter().zip(&cases) {
            judged += 1;
            let head = expected.lines().next().unwrap_or_default();
            let refused = head.strip_prefix("error: ");
            let agree = match (&verdict.columns, refused) {
                // Of the binder's errors the code is the same; what is found when it runs has none.
                (None, Some(error)) => {
                    !error.starts_with("KS") || verdict.codes.iter().any(|code| error.starts_with(code))
                }
                // What goes wrong when it runs is legal.
                (Some(_), Some(error)) => !error.starts_with("KS"),
                (Some(columns), None) => {
                    let columns: Vec<_> = columns.iter().map(|(name, ty)| format!("{name}:{ty}")).collect();
                    let found: Vec<_> = head.split(" | ").collect();
                    // What an `evaluate` makes of rows only the rows can say.
                    let opened = query.contains("| evaluate ") && found.len() >= columns.len();
                    let mut pairs = columns.iter().zip(&found);
                    // The documentation's `kind=inner` keeps common columns; the parser does not mind it.
                    found == columns
                        || query.contains("union kind=inner")
                        || opened
                            && pairs.all(|(theirs, ours)| theirs == ours || theirs.ends_with(":unknown"))
                }
                (None, None) => false,
            };
            if !agree {
                wrong.push(format!("{file}: {query}\n{head}\n{:?} {:?}", verdict.codes, verdict.columns));
            }
        }
    }
    assert!(judged >= 160, "{judged}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
