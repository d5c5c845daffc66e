//! The other sides: installed once at pinned versions below the target folder, started a process a test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

const PINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// A process that ends with the test.
pub struct Peer {
    _child: Child,
    /// Where it answers.
    pub port: u16,
}

/// The folder of Node packages.
pub async fn node() -> PathBuf {
    installed("node", &["package.json", "package-lock.json"], |home| {
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(Path::new(PINS).join(name), home.join(name)).unwrap();
        }
        let npm = [
            "npm",
            "ci",
            "--ignore-scripts",
            "--omit=optional",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        vec![npm.map(str::to_owned).to_vec()]
    })
    .await
    .join("node_modules")
}

/// The interpreter with the Python packages.
pub async fn python() -> PathBuf {
    let home = installed("python", &["requirements.txt"], |home| {
        let pip = [
            home.join("venv/bin/python").display().to_string(),
            "-m".into(),
            "pip".into(),
            "install".into(),
            "--quiet".into(),
            "--no-deps".into(),
            "--disable-pip-version-check".into(),
            "-r".into(),
            format!("{PINS}/requirements.txt"),
        ];
        vec![["python3", "-m", "venv", "venv"].map(str::to_owned).to_vec(), pip.to_vec()]
    });
    home.await.join("venv/bin/python")
}

/// Runs a script of `tests/peers` and reads the JSON that it prints.
pub async fn script(name: &str, arguments: &[&str]) -> serde_json::Value {
    let mut command = Command::new(python().await);
    let output = command.arg(Path::new(PINS).join(name)).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Starts a program that says on which port it listens: the number after the text.
pub async fn start(mut command: Command, says: &str) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let port = tokio::select! {
        port = port_said(out, says.to_owned()) => port,
        port = port_said(err, says.to_owned()) => port,
    };
    Peer { _child: child, port }
}

/// The port, from a stream that is read on so that the program never waits for it.
async fn port_said(stream: impl AsyncRead + Unpin + Send + 'static, says: String) -> u16 {
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut tell = Some(tell);
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let rest = line.split_once(&says).map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit));
            if let Some(port) = rest.and_then(|digits| digits.collect::<String>().parse::<u16>().ok())
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(port);
            }
        }
    });
    match told.await {
        Ok(port) => port,
        // The other stream says it, or the test's time ends.
        Err(_) => std::future::pending().await,
    }
}

/// A folder made by these commands from these pins; whoever comes first makes it, the others wait.
async fn installed(
    name: &str,
    pins: &[&str],
    commands: impl FnOnce(&Path) -> Vec<Vec<String>> + Send,
) -> PathBuf {
    let mut pinned: Vec<u8> = Vec::new();
    for pin in pins {
        pinned.extend(std::fs::read(Path::new(PINS).join(pin)).unwrap());
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pinned);
    let above = Path::new(env!("CARGO_TARGET_TMPDIR")).join("destination-peers");
    let home = above.join(format!("{name}-{}", hex::encode(&digest.as_ref()[..8])));
    let done = home.join("complete");
    if done.exists() {
        return home;
    }
    std::fs::create_dir_all(&above).unwrap();
    let lock = File::create(above.join(format!("{name}.lock"))).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        for command in commands(&home) {
            let (program, arguments) = command.split_first().unwrap();
            let status = Command::new(program).args(arguments).current_dir(&home).status().await.unwrap();
            assert!(status.success(), "cannot install what the tests deliver to: {command:?}");
        }
        File::create(done).unwrap();
    }
    drop(lock);
    home
}
