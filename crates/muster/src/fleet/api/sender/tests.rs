use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// A server that says these answers, one a connection; an empty one is a connection that ends.
async fn server(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (base, asked)
}

async fn call(answers: &'static [&'static str]) -> (Result<Answer, Failure>, usize) {
    let (base, asked) = server(answers).await;
    let mut sender = Sender::new(&base, None, "the test's token").unwrap();
    sender.backoff = Duration::from_micros(1);
    let ask = Ask { method: Method::GET, url: base, headers: Vec::new(), body: None };
    let result = sender.call(&ask, || "Bearer t".to_owned()).await;
    (result, asked.load(Ordering::SeqCst))
}

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
const BUSY: &str = "HTTP/1.1 429 Busy\r\nConnection: close\r\nRetry-After: 0\r\nContent-Length: 20\r\n\r\n{\"errorCode\":429001}";
const LATER: &str = "HTTP/1.1 429 Busy\r\nConnection: close\r\nRetry-After: 301\r\nContent-Length: 0\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const CONFLICT: &str = "HTTP/1.1 409 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const CUT: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 70\r\n\r\n{\"a\":";

#[tokio::test]
async fn call_is_sent_again_until_it_is_answered() {
    let (result, asked) = call(&[BUSY, BROKEN, CUT, OK]).await;
    let answer = result.ok().unwrap();
    assert_eq!((answer.body["a"].as_u64(), asked), (Some(1), 4));
    assert!(answer.is_late);
}

#[tokio::test]
async fn call_that_is_throttled_without_end_gives_up() {
    let (result, asked) = call(&[BUSY; 9]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.exit_status(), asked), (6, 5));
    assert!(failure.to_string().contains("429 (429001)"), "{failure}");
}

#[tokio::test]
async fn call_that_is_told_to_wait_too_long_gives_up_at_once() {
    let (result, asked) = call(&[LATER; 2]).await;
    assert_eq!((result.unwrap_err().exit_status(), asked), (6, 1));
}

#[tokio::test]
async fn call_that_is_refused_is_sent_once() {
    let (result, asked) = call(&[CONFLICT; 2]).await;
    assert_eq!((result.unwrap_err().exit_status(), asked), (4, 1));
}

#[tokio::test]
async fn conflict_after_a_lost_answer_says_so() {
    let (result, asked) = call(&[BROKEN, CONFLICT]).await;
    let failure = result.unwrap_err();
    assert!(failure.to_string().contains("may have done it already"), "{failure}");
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn call_without_an_answer_names_service_and_credential() {
    let (result, asked) = call(&["", "", "", "", ""]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.exit_status(), asked), (6, 3));
    let text = failure.to_string();
    assert!(text.contains("http://127.0.0.1:") && text.contains("the test's token"), "{text}");
}

#[test]
fn pause_grows_and_honours_what_the_service_asks() {
    let half = Duration::from_millis(500);
    assert_eq!(pause(half, 1, None, 0), Duration::from_millis(250));
    assert!(pause(half, 1, None, 999) < half);
    assert_eq!(pause(half, 3, None, 0), Duration::from_secs(1));
    assert_eq!(pause(half, 60, None, 0), Duration::from_millis(MAX_BACKOFF_MS / 2));
    assert!(pause(half, 1, Some(7), 5) >= Duration::from_secs(7));
    assert!(pause(half, 1, Some(7), 999) < Duration::from_secs(8));
}

#[test]
fn proxies_are_not_for_this_machine() {
    for own in ["https://localhost:8443", "http://127.0.0.1", "https://[::1]:8443", "https://a.localhost"] {
        assert!(is_loopback(own), "{own}");
    }
    for other in ["https://muster.example", "https://10.0.0.1", "https://localhost.example"] {
        assert!(!is_loopback(other), "{other}");
    }
}
