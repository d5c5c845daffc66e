//! Enrollments by the thousand: a line of JSON each, ten to a request, many requests at once. Owns what becomes of each
//! line; must not know how a request is sent.

mod batches;
mod progress;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use self::batches::{Batch, Batches, Etags, Line};
use self::progress::Progress;
use crate::fleet::api::failure::{Failure, shown};
use crate::fleet::api::{Collection, ServiceApi};
use crate::fleet::connection::ServiceOptions;
use crate::fleet::limits::MAX_CALLS_AT_ONCE;
use crate::fleet::output::OutputOptions;

/// What is done with each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Create; an id that exists is an error of its line
    #[value(name = "create")]
    Create,
    /// Replace, whatever the version
    #[value(name = "update")]
    Update,
    /// Replace the version whose etag the line has
    #[value(name = "updateIfMatchETag", alias = "updateifmatchetag")]
    UpdateIfMatchEtag,
    /// Delete, whatever the version
    #[value(name = "delete")]
    Delete,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::UpdateIfMatchEtag => "updateIfMatchETag",
            Self::Delete => "delete",
        }
    }

    fn etags(self) -> Etags {
        match self {
            Self::Create | Self::Delete => Etags::Dropped,
            Self::Update => Etags::Any,
            Self::UpdateIfMatchEtag => Etags::Kept,
        }
    }
}

/// Options of `import`.
#[derive(clap::Args)]
pub struct ImportOptions {
    /// File with one enrollment a line, as `list -o jsonl --show-keys` prints them; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is done with each line
    #[arg(long, value_name = "MODE", default_value = "create", ignore_case = true)]
    mode: Mode,
    /// Write the lines that failed to this file, to be mended and imported
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Begin at the first line, although an import of this file was stopped in the middle
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Why a line was not imported.
#[derive(Debug, PartialEq, Eq)]
struct Reject {
    line: usize,
    id: String,
    why: String,
    text: String,
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    imported: usize,
    failed: usize,
    resumed: usize,
}

/// Imports the file; lines that fail are told on standard error, and the rest goes on.
pub async fn run(options: &ImportOptions, collection: Collection) -> Result<(), Failure> {
    let api = options.service.open()?;
    let import = Import { api: &api, collection, mode: options.mode };
    let name = options.file.display().to_string();
    let (reader, size) = open(&options.file)?;
    let mut progress = match size {
        None => Progress::none(),
        Some(size) => {
            let head = format!("{} {} {size} {}", collection.path(), options.mode.word(), api.base());
            Progress::open(&options.file, &head, options.restart)?
        }
    };
    let mut tally = Tally::default();
    let mut rejects = options.rejects.as_deref().map(Rejects::open).transpose()?;
    let batches = Batches::new(reader, collection, options.mode.etags(), progress.done());
    let mut sent = stream::iter(batches).map(|batch| import.send(batch)).buffer_unordered(MAX_CALLS_AT_ONCE);
    while let Some(settled) = sent.next().await {
        let settled = settled.inspect_err(|_| progress.hint(&name))?;
        for reject in &settled.rejects {
            eprintln!("{name}:{}: {}: {}", reject.line, shown(&reject.id), shown(&reject.why));
            if let Some(rejects) = &mut rejects {
                rejects.push(&reject.text)?;
            }
        }
        tally.imported += settled.imported;
        tally.failed += settled.rejects.len();
        tally.resumed += settled.resumed;
        progress.settle(settled.first, settled.last)?;
    }
    drop(sent);
    progress.remove()?;
    let Tally { imported, failed, resumed } = tally;
    options.output.item(json!({ "imported": imported, "failed": failed, "importedBefore": resumed }))?;
    if failed == 0 {
        return Ok(());
    }
    let all = imported + failed;
    Err(Failure::Incomplete(format!("{failed} of {all} lines of {name} failed, as told above")))
}

/// The reader, and the size where it is a file that can be read again.
fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(std::io::stdin())), None));
    }
    let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let about = file.metadata().with_context(|| format!("{} cannot be read", path.display()))?;
    let size = about.is_file().then_some(about.len());
    Ok((Box::new(BufReader::new(file)), size))
}

/// Lines that failed, in a file that nobody else may read: they may hold keys.
struct Rejects(std::fs::File);

impl Rejects {
    fn open(path: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let failed = || format!("{} cannot be written", path.display());
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.with_context(failed)?;
        // One that was there keeps its mode; a pipe or a terminal is its owner's affair.
        if file.metadata().with_context(failed)?.is_file() {
            file.set_permissions(std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
        }
        Ok(Self(file))
    }

    fn push(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.0, "{text}").context("the file of --rejects cannot be written")?)
    }
}

/// A batch that needs nothing more.
struct Settled {
    first: usize,
    last: usize,
    imported: usize,
    resumed: usize,
    rejects: Vec<Reject>,
}

struct Import<'a> {
    api: &'a ServiceApi,
    collection: Collection,
    mode: Mode,
}

impl Import<'_> {
    async fn send(&self, batch: std::io::Result<Batch>) -> Result<Settled, Failure> {
        let batch = batch.context("the file cannot be read to its end")?;
        let mut settled = Settled {
            first: batch.first,
            last: batch.last,
            imported: 0,
            resumed: batch.resumed,
            rejects: batch.rejects,
        };
        match self.bulk(&batch.lines).await? {
            Ok(rejects) => settled.reject(batch.lines.len(), rejects),
            // The whole request was refused, perhaps for one of its items: which one, each says alone.
            Err(_) if batch.lines.len() > 1 => {
                for line in &batch.lines {
                    let one = self.bulk(std::slice::from_ref(line)).await?;
                    settled.reject(1, one.unwrap_or_else(|why| vec![line.reject(why)]));
                }
            }
            Err(why) => settled.reject(1, batch.lines.iter().map(|line| line.reject(why.clone())).collect()),
        }
        Ok(settled)
    }

    /// One request: the items that failed; or why the request was refused as a whole. Nothing that a smaller request
    /// would mend ends the import.
    async fn bulk(&self, lines: &[Line]) -> Result<Result<Vec<Reject>, String>, Failure> {
        if lines.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let items: Vec<Value> = lines.iter().map(|line| line.item.clone()).collect();
        match self.api.bulk(self.collection, self.mode.word(), &items).await {
            Ok((answer, lost)) => Ok(Ok(rejected(lines, &answer, self.collection, lost))),
            Err(Failure::Refused(refusal)) if matches!(refusal.status, 400 | 409 | 412 | 413) => {
                let code = refusal.code.as_deref().unwrap_or("no code");
                Ok(Err(format!("{code} {}", refusal.message)))
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Settled {
    fn reject(&mut self, sent: usize, rejects: Vec<Reject>) {
        self.imported += sent - rejects.len();
        self.rejects.extend(rejects);
    }
}

impl Line {
    fn reject(&self, why: String) -> Reject {
        Reject { line: self.number, id: self.id.clone(), why, text: self.text.clone() }
    }
}

/// The lines that a bulk answer names.
fn rejected(lines: &[Line], answer: &Value, collection: Collection, lost_an_answer: bool) -> Vec<Reject> {
    let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |error: &Value| error[collection.id_member()].as_str().unwrap_or_default().to_ascii_lowercase();
    let by_id: HashMap<String, &Value> = errors.iter().map(|error| (id(error), error)).collect();
    let why = |error: &Value| {
        let status = error["errorStatus"].as_str().unwrap_or("no reason was given");
        let text = format!("{} {status}", error["errorCode"]);
        if lost_an_answer {
            format!("{text} (an earlier attempt had no answer and may have done it)")
        } else {
            text
        }
    };
    let mut rejects: Vec<Reject> = Vec::new();
    for line in lines {
        if let Some(error) = by_id.get(&line.id.to_ascii_lowercase()) {
            rejects.push(line.reject(why(error)));
        }
    }
    if rejects.is_empty() && answer["isSuccessful"] == false {
        rejects =
            lines.iter().map(|line| line.reject("the service does not say which failed".into())).collect();
    }
    rejects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, id: &str) -> Line {
        Line { number, id: id.into(), item: json!({ "registrationId": id }), text: format!("text of {id}") }
    }

    #[test]
    fn errors_of_a_bulk_answer_belong_to_their_lines() {
        let lines = [line(3, "A"), line(4, "b"), line(9, "c")];
        let answer = json!({
            "errors": [{"registrationId": "a", "errorCode": 409_201, "errorStatus": "Enrollment already exists."}],
            "isSuccessful": false,
        });
        let rejects = rejected(&lines, &answer, Collection::Enrollments, false);
        let wanted = Reject {
            line: 3,
            id: "A".into(),
            why: "409201 Enrollment already exists.".into(),
            text: "text of A".into(),
        };
        assert_eq!(rejects, [wanted]);
        let unsure = rejected(&lines, &answer, Collection::Enrollments, true);
        assert!(unsure[0].why.contains("may have done it"), "{unsure:?}");
    }

    #[test]
    fn answer_that_names_no_item_fails_all() {
        let lines = [line(1, "a"), line(2, "b")];
        let silent = json!({"errors": [], "isSuccessful": false});
        assert_eq!(rejected(&lines, &silent, Collection::Enrollments, false).len(), 2);
        let good = json!({"errors": [], "isSuccessful": true});
        assert!(rejected(&lines, &good, Collection::Enrollments, false).is_empty());
    }
}
