//! What only a development server does: faults, a clock that can be set, a reset.

mod clock;
mod control;
mod faults;
mod hub_faults;
mod reset;

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::server::{BINARY, Endpoint, Process, Start};

/// A call of `/dev/…`, as a program on this machine makes it.
pub async fn ask(endpoint: &Endpoint, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut http = endpoint.http().await.unwrap();
    let body = body.map(|body| body.to_string());
    let answer = http.ask(method, path, &[], body.as_ref().map(String::as_bytes)).await.unwrap();
    let said = if answer.body.is_empty() { Value::Null } else { answer.json() };
    (answer.status, said)
}

/// A call that succeeds.
pub async fn done(endpoint: &Endpoint, method: &str, path: &str, body: Option<Value>) -> Value {
    let (status, said) = ask(endpoint, method, path, body).await;
    assert!(status < 300, "{method} {path}: {status} {said}");
    said
}

/// Adds a rule.
pub async fn fault(endpoint: &Endpoint, occasions: Value, fault: Value) -> String {
    let rule = json!({"match": occasions, "fault": fault});
    done(endpoint, "POST", "/dev/faults", Some(rule)).await["id"].as_str().unwrap().to_owned()
}

/// The event of the attempt log that holds all of these texts, once it is written.
pub async fn logged(folder: &Path, texts: &[&str]) -> Value {
    loop {
        let files = std::fs::read_dir(folder.join("logs")).unwrap();
        let all: String =
            files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok()).collect();
        // The last line may be half written.
        let mut whole = all.lines().filter(|line| texts.iter().all(|text| line.contains(text)));
        if let Some(row) = whole.find_map(|line| serde_json::from_str::<Value>(line).ok()) {
            return row["properties"].clone();
        }
        tokio::task::yield_now().await;
    }
}

/// `muster device`, with the key that every device here has.
pub fn device_client(folder: &Path, id: &str, words: &[&str]) -> Process {
    let mut command = std::process::Command::new(BINARY);
    command.arg("device").args(words).args(["--registration-id", id]);
    command.args(["--key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]);
    command.arg("--dev-env").arg(folder.join("dev.env"));
    Process::of(command)
}

/// A server on free ports.
pub fn start(folder: &Path) -> Start {
    Start::on(folder)
}
