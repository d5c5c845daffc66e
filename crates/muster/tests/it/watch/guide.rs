//! `docs/guides/troubleshooting.md` as it stands: every command of it is run against a real server and says what the page
//! shows, and what it announces happens: the alert fires, the webhook is told, and the alert resolves by people's word.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::sync::Notify;

use crate::fleet::Site;
use crate::fleet::guide::{anonymous, commands, say};
use crate::harness::run;

const GUIDE: &str = include_str!("../../../../../docs/guides/troubleshooting.md");
/// What is to be seen soon is seen within this: rules are looked at each minute.
const SOON: Duration = Duration::from_secs(150);

/// A webhook that keeps what it is told.
#[derive(Clone, Default)]
struct Pager {
    told: Arc<Mutex<Vec<Value>>>,
    more: Arc<Notify>,
}

impl Pager {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/page", listener.local_addr().unwrap());
        let router = Router::new().fallback(page).with_state(self.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let server = Builder::new(TokioExecutor::new());
                tokio::spawn(
                    async move { server.serve_connection(TokioIo::new(stream), service).await.ok() },
                );
            }
        });
        url
    }

    /// Was it told that this rule fired?
    fn heard_of(&self, rule: &str) -> bool {
        self.told.lock().unwrap().iter().any(|told| {
            let essentials = &told["data"]["essentials"];
            essentials["alertRule"] == rule && essentials["monitorCondition"] == "Fired"
        })
    }
}

async fn page(State(pager): State<Pager>, body: Bytes) {
    pager.told.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    pager.more.notify_one();
}

#[test]
fn guide_of_troubleshooting_says_what_its_commands_say() {
    run(async {
        let site = Site::start().await;
        let pager = Pager::default();
        site.write("pager.txt", &pager.start().await);
        for (name, byte) in [("meter-7.key", 7), ("spare.key", 8), ("old.key", 9)] {
            site.write(name, &STANDARD.encode([byte; 32]));
        }
        let workspace = &site.server.env["MUSTER_WORKSPACE_ID"];
        let commands = commands(GUIDE);
        assert!(commands.len() >= 20, "{} commands", commands.len());
        for (line, shown) in commands {
            let command = line.replace("\"$MUSTER_WORKSPACE_ID\"", workspace);
            let begun = Instant::now();
            let mut said = say(&site, &command);
            if shown.is_empty() {
                // What is not shown is at least no refusal.
                assert!(!said.contains("muster: "), "{line}: {said}");
                continue;
            }
            // Rows are there within a second, and an alert within a minute or two.
            while anonymous(&said) != anonymous(&shown) && begun.elapsed() < SOON {
                tokio::task::yield_now().await;
                said = say(&site, &command);
            }
            assert_eq!(anonymous(&said), anonymous(&shown), "{line}");
            if line.contains("alert list") {
                while !pager.heard_of("refused-devices") {
                    pager.more.notified().await; // `run` bounds it
                }
            }
        }
        site.server.stop();
    });
}
