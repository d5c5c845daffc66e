//! `muster doctor` on networks that are well and on those that are not: each step names what is wrong.

mod fake;

use std::path::Path;
use std::process::Command;

use dps_model::Secret;
use serde_json::Value;

use self::fake::{Ca, Manner, closed, fake};
use crate::harness::run;
use crate::harness::server::{BINARY, Process, Start};

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// What a visit found.
struct Found {
    status: i32,
    report: Value,
}

impl Found {
    /// The only step of that name at that place.
    fn check(&self, step: &str, target: &str) -> &Value {
        let all = self.report["checks"].as_array().unwrap();
        let mut found = all
            .iter()
            .filter(|check| check["step"] == step && check["target"].as_str().unwrap().starts_with(target));
        let check = found.next().unwrap_or_else(|| panic!("no {step} {target} in {:#}", self.report));
        assert!(found.next().is_none(), "{step} {target} twice in {:#}", self.report);
        check
    }

    /// The step failed, and says that of it and what to do.
    fn failed(&self, step: &str, target: &str, said: &str, advice: &str) {
        let check = self.check(step, target);
        assert_eq!(check["result"], "failed", "{check:#}");
        assert!(check["found"].as_str().unwrap().contains(said), "{check:#}");
        assert!(check["advice"].as_str().unwrap().contains(advice), "{check:#}");
        assert_eq!(self.status, 1);
    }
}

async fn doctor(arguments: &[&str], environment: &[(&str, &str)]) -> Found {
    let mut command = Command::new(BINARY);
    command.arg("doctor").args(["-o", "json"]).args(arguments);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let mut process = Process::of(command);
    let status = process.wait().code().unwrap();
    let said = process.stdout.whole().await;
    let report = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    Found { status, report }
}

/// The doctor at a host of fakes; a port that is not given is closed.
async fn at(https: u16, mqtt: u16, ca: &Ca) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    let (https, mqtt, amqp) = (https.to_string(), mqtt.to_string(), closed().await.to_string());
    let ports = ["--https-port", &https, "--mqtt-port", &mqtt, "--amqp-port", &amqp];
    let place = ["--host", "localhost", "--ca", file.to_str().unwrap()];
    doctor(&[&place[..], &ports[..]].concat(), &[]).await
}

fn dev_env(folder: &Path) -> String {
    folder.join("dev.env").display().to_string()
}

#[test]
fn all_is_well_at_a_server_that_serves() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        let mut http = server.endpoint.http().await.unwrap();
        server.endpoint.enroll(&mut http, "robot", &Secret::new(vec![7; 32])).await.unwrap();
        let env = dev_env(folder.path());
        let found = doctor(&["--dev-env", &env, "--registration-id", "robot", "--key", KEY], &[]).await;
        assert_eq!(found.status, 0, "{:#}", found.report);
        assert_eq!(found.report["failed"], 0);
        for check in found.report["checks"].as_array().unwrap() {
            assert_eq!(check["result"], "ok", "{check:#}");
        }
        let steps = |step: &str| {
            found.report["checks"].as_array().unwrap().iter().filter(|check| check["step"] == step).count()
        };
        let counts =
            ["dns", "tcp", "tls", "certificate", "http", "clock", "websocket", "registration"].map(steps);
        assert_eq!(counts, [1, 3, 3, 3, 1, 1, 2, 1]);
        assert!(
            found.check("registration", "localhost")["found"]
                .as_str()
                .unwrap()
                .contains("assigned to localhost as robot")
        );

        let found = doctor(&["--dev-env", &env, "--no-register"], &[]).await;
        assert_eq!(
            (found.status, &found.check("registration", "localhost")["result"]),
            (0, &"skipped".into())
        );
        let wrong = ["--dev-env", &env, "--registration-id", "stranger", "--key", KEY];
        doctor(&wrong, &[]).await.failed("registration", "localhost", "401", "muster explain-code 401");
        server.stop();
    });
}

#[test]
fn certificates_that_are_not_believed_are_explained() {
    run(async {
        let ca = Ca::new("the service's root");
        let stranger = Ca::new("somebody else");
        let expired = fake(Manner::Tls(ca.server("localhost", 2021), NOT_FOUND)).await;
        let other_name = fake(Manner::Tls(ca.server("other.example", 2090), NOT_FOUND)).await;
        let found = at(expired, other_name, &ca).await;
        found.failed("certificate", &format!("localhost:{expired}"), "ended on 2021-01-01", "clock");
        found.failed(
            "certificate",
            &format!("localhost:{other_name}"),
            "is for other.example, not for localhost",
            "name",
        );
        let chain = &found.check("certificate", &format!("localhost:{other_name}"))["chain"];
        assert_eq!(
            (&chain[0]["subject"], &chain[0]["issuer"]),
            (&"CN=other.example".into(), &"CN=the service's root".into())
        );

        let foreign = fake(Manner::Tls(stranger.server("localhost", 2090), NOT_FOUND)).await;
        let own = fake(Manner::Tls(ca.server("localhost", 2090), NOT_FOUND)).await;
        let found = at(foreign, own, &ca).await;
        found.failed(
            "certificate",
            &format!("localhost:{foreign}"),
            "root CN=somebody else is missing",
            "ca.pem",
        );
        assert_eq!(found.check("certificate", &format!("localhost:{own}"))["result"], "ok");
        found.failed("inspection", "localhost", "by CN=somebody else", "opens TLS");
    });
}

#[test]
fn proxy_that_opens_tls_is_found_out() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        let inspector = Ca::new("Corporate Inspection");
        let proxy = fake(Manner::Inspecting(inspector.server("localhost", 2090), NOT_FOUND)).await;
        let url = format!("http://user:secret@127.0.0.1:{proxy}");
        let env = dev_env(folder.path());
        let found = doctor(&["--dev-env", &env], &[("HTTPS_PROXY", &url)]).await;
        let https = format!("localhost:{}", server.endpoint.https);
        found.failed("certificate", &https, "CN=Corporate Inspection", "opens TLS");
        found.failed("inspection", "localhost", "CN=Corporate Inspection", "proxy");
        found.failed("websocket", &format!("{https} mqtt"), "404", "WebSockets");
        assert!(!found.report.to_string().contains("secret"));
        let exempt = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", "localhost")];
        assert_eq!(doctor(&["--dev-env", &env], &exempt).await.status, 0);

        let refusing = fake(Manner::Refusing("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")).await;
        let url = format!("http://127.0.0.1:{refusing}");
        let found = doctor(&["--dev-env", &env], &[("HTTPS_PROXY", &url)]).await;
        found.failed("tcp", &https, "407", "proxy");
        server.stop();
    });
}

#[test]
fn ports_that_are_closed_dumb_or_somebody_elses_are_told_apart() {
    run(async {
        let ca = Ca::new("the service's root");
        let portal =
            fake(Manner::Plain("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n")).await;
        let silent = fake(Manner::Silent).await;
        let found = at(portal, silent, &ca).await;
        found.failed(
            "tls",
            &format!("localhost:{portal}"),
            "302 Found, to http://login.example/",
            "captive portal",
        );
        found.failed("tls", &format!("localhost:{silent}"), "nothing came within 10 s", "firewall");
        let refused = &found.report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["step"] == "tcp" && check["result"] == "failed")
            .count();
        assert_eq!(*refused, 1, "the port of AMQP is closed");
        let ssh = fake(Manner::Plain("SSH-2.0-OpenSSH_9\r\n")).await;
        let found = at(ssh, silent, &ca).await;
        found.failed("tls", &format!("localhost:{ssh}"), "does not speak TLS", "port");
    });
}

#[test]
fn server_without_websockets_and_with_another_time_is_told() {
    run(async {
        let ca = Ca::new("the service's root");
        let said =
            "HTTP/1.1 400 Bad Request\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nServer: proxy/1\r\n\r\n";
        let https = fake(Manner::Tls(ca.server("localhost", 2090), said)).await;
        let found = at(https, closed().await, &ca).await;
        let target = format!("localhost:{https}");
        for protocol in ["mqtt", "amqp"] {
            found.failed("websocket", &format!("{target} {protocol}"), "400", "Upgrade");
        }
        found.failed("clock", &target, "ahead of the server's", "NTP");
        assert!(found.check("http", &target)["found"].as_str().unwrap().contains("proxy/1"));
        assert_eq!(found.check("registration", "localhost")["result"], "skipped");
    });
}

#[test]
fn name_that_nobody_knows_is_told() {
    run(async {
        let port = closed().await.to_string();
        let ports = ["--https-port", &port, "--mqtt-port", &port, "--amqp-port", &port];
        let found = doctor(&[&["--host", "no-such-host.invalid"], &ports[..]].concat(), &[]).await;
        assert_eq!(found.check("dns", "no-such-host.invalid")["result"], "failed");
        assert_eq!(found.status, 1);
    });
}
