//! What a process says, line by line, as it says it.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// Lines of one stream. Clones see the same.
#[derive(Clone)]
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    /// Number of lines; closed at the end of the stream.
    count: watch::Receiver<usize>,
}

impl Output {
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                kept.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                counted.send_modify(|count| *count += 1);
            }
        });
        Self { lines, count }
    }

    /// Waits for a line with that text in it, and gives it; fails when the stream ends without one.
    pub async fn said(&self, text: &str) -> String {
        match self.heard(text).await {
            Some(line) => line,
            None => panic!("{text:?} was never said, but:\n{}", self.text()),
        }
    }

    /// The same; none when the stream ends.
    pub async fn heard(&self, text: &str) -> Option<String> {
        let mut count = self.count.clone();
        let (mut looked_at, mut ended) = (0, false);
        loop {
            {
                let lines = self.lines.lock().unwrap();
                if let Some(line) = lines[looked_at..].iter().find(|line| line.contains(text)) {
                    return Some(line.clone());
                }
                looked_at = lines.len();
            }
            if ended {
                return None;
            }
            ended = count.changed().await.is_err();
        }
    }

    /// Everything that it says, to the end of the stream.
    pub async fn whole(&self) -> String {
        // A line has no line feed in it.
        assert!(self.heard("\n").await.is_none());
        self.text()
    }

    /// Everything said so far.
    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}
