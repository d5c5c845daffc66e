//! The commands that manage a fleet, run as a person runs them: the binary, its output, its exit status.

mod azure;
mod bulk;
mod control_plane;
pub mod guide;
mod own_control_plane;
mod reference;
mod service;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::server::{Server, Start};

/// A running `muster dev`, with its data directory where the commands look for it.
pub struct Site {
    pub server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("muster-data");
        std::fs::create_dir(&data).unwrap();
        Self { server: Start::on(&data).server().await, folder }
    }

    /// Stops the server, lets somebody work on its data, and starts it again.
    pub async fn restarted_after(self, work: impl AsyncFnOnce(&Path)) -> Self {
        let data = self.path().join("muster-data");
        self.server.stop();
        work(&data).await;
        Self { server: Start::on(&data).server().await, folder: self.folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    /// Runs a command; words are cut as a shell cuts them.
    pub fn muster(&self, line: &str) -> Said {
        muster(self.path(), &words(line), &[])
    }
}

/// As a shell cuts a line: quotes of either kind hold together.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Runs the binary in that folder, with no other variables than these.
pub fn muster(folder: &Path, words: &[String], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(words).current_dir(folder).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null());
    let output = tokio::task::block_in_place(|| command.output()).unwrap();
    Said {
        line: words.join(" "),
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command said.
pub struct Said {
    line: String,
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it printed, of a command that did what it was asked.
    pub fn text(self) -> String {
        assert_eq!(self.status, Some(0), "{}: {}{}", self.line, self.out, self.err);
        assert_eq!(self.err, "", "{}", self.line);
        self.out
    }

    /// The same, as JSON.
    pub fn json(self) -> Value {
        let line = self.line.clone();
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
    }

    /// The error, of a command that ended with that status.
    pub fn failed(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{}: {}{}", self.line, self.out, self.err);
        assert_eq!(self.out, "", "{}", self.line);
        assert!(self.err.starts_with("muster: ") || self.err.starts_with("error: "), "{}", self.err);
        self.err
    }
}
