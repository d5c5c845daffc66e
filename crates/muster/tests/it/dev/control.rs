//! Who may ask for `/dev/…`, and what is refused.

use serde_json::json;

use super::{ask, start};
use crate::harness::run;

#[test]
fn pages_of_other_sites_are_kept_out() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let port = server.endpoint.https;
        let own = format!("https://localhost:{port}");
        let host = format!("localhost:{port}");
        for (headers, status) in [
            (vec![("Host", host.as_str()), ("Origin", own.as_str())], 200),
            (vec![("Host", host.as_str()), ("Origin", "https://evil.example")], 403),
            (vec![("Host", host.as_str()), ("Origin", "null")], 403),
            // A name that somebody else pointed at this machine.
            (vec![("Host", "evil.example"), ("Origin", "http://evil.example")], 403),
            (vec![("Host", "evil.example")], 403),
            (vec![("Host", "127.0.0.1")], 200),
        ] {
            let mut http = server.endpoint.http().await.unwrap();
            let answer = http.ask("POST", "/dev/reset", &headers, Some(b"{}")).await.unwrap();
            assert_eq!(answer.status, status, "{headers:?}");
        }
        server.stop();
    });
}

#[test]
fn mistakes_are_told() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let endpoint = &server.endpoint;
        for (method, path, body, status, said) in [
            ("GET", "/dev", None, 404, "/dev/reset"),
            ("GET", "/dev/unknown", None, 404, "/dev/reset"),
            ("GET", "/dev/reset", None, 405, "GET"),
            ("POST", "/dev/clock", None, 405, "POST"),
            ("PUT", "/dev/faults", None, 405, "PUT"),
            ("DELETE", "/dev/faults/none", None, 404, "none"),
            ("POST", "/dev/faults", Some(json!({"fault": {"kind": "melt"}})), 400, "melt"),
            ("POST", "/dev/faults", Some(json!({"pad": "x".repeat(20_000)})), 413, "16384"),
            ("PUT", "/dev/clock", Some(json!({"hour": 7})), 400, "hour"),
            ("POST", "/dev/reset", Some(json!([])), 400, "no wish"),
        ] {
            let (told, answer) = ask(endpoint, method, path, body).await;
            assert_eq!(told, status, "{method} {path}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(said), "{method} {path}: {message}");
        }
        server.stop();
    });
}
