//! The control plane of a process that is killed and restarted: what was promised is kept, what was begun is ended.

use std::io;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::harness::http::{Answer, Http};
use crate::harness::run;
use crate::harness::server::{Endpoint, Server, Start};
use crate::harness::tls;

/// Services that are being made when the process dies.
const MADE: usize = 12;

/// A server's control plane, as whoever has its token sees it.
#[derive(Clone)]
struct Management {
    endpoint: Endpoint,
    token: String,
    default: String,
}

impl Management {
    fn of(server: &Server) -> Self {
        let get = |key: &str| server.env[key].clone();
        Self {
            endpoint: server.endpoint.clone(),
            token: format!("Bearer {}", get("MUSTER_BEARER_TOKEN")),
            default: get("MUSTER_RESOURCE_ID"),
        }
    }

    fn id(&self, name: &str) -> String {
        self.default.replace("/muster-dev", &format!("/{name}"))
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> io::Result<Answer> {
        let target = format!("{path}?api-version=2022-02-05");
        let body = body.map(|body| body.to_string().into_bytes());
        let headers = [("Authorization", self.token.as_str())];
        self.endpoint.http().await?.ask(method, &target, &headers, body.as_deref()).await
    }

    async fn create(&self, name: &str) -> io::Result<u16> {
        let body = json!({"location": "local", "properties": {}, "sku": {"name": "S1", "capacity": 1}});
        Ok(self.ask("PUT", &self.id(name), Some(body)).await?.status)
    }

    /// Its state, asked for until it is that one.
    async fn becomes(&self, name: &str, state: &str) -> Value {
        loop {
            let shown = self.ask("GET", &self.id(name), None).await.unwrap().json();
            if shown["properties"]["state"] == state {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn is_free(&self, name: &str) -> bool {
        let subscription = self.default.split("/resourceGroups/").next().unwrap();
        let path =
            format!("{subscription}/providers/Microsoft.Devices/checkProvisioningServiceNameAvailability");
        let answer = self.ask("POST", &path, Some(json!({"name": name}))).await.unwrap();
        answer.json()["nameAvailable"] == true
    }

    /// A connection to the service's own host name, whose certificate must be for it.
    async fn reached(&self, name: &str) -> Http<tls::Stream> {
        let host = ServerName::try_from(format!("{name}.localhost")).unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.endpoint.trust.plain));
        let stream = connector.connect(host, tls::tcp(self.endpoint.https).await.unwrap()).await.unwrap();
        Http::over(stream)
    }
}

#[test]
fn service_that_was_promised_is_active_after_a_kill_and_one_that_was_doomed_is_gone() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let mut server = start.server().await;
        let management = Management::of(&server);
        assert_eq!(management.create("doomed").await.unwrap(), 201);
        management.becomes("doomed", "Active").await;
        let _own_certificate = management.reached("doomed").await;

        let mut made = JoinSet::new();
        for number in 0..MADE {
            let (management, name) = (management.clone(), format!("made-{number}"));
            made.spawn(async move { (management.create(&name).await, name) });
        }
        let deleted = management.ask("DELETE", &management.id("doomed"), None).await.unwrap();
        assert_eq!(deleted.status, 202);
        let mut promised = Vec::new();
        let first = made.join_next().await.unwrap().unwrap();
        server.process.kill();
        for (answer, name) in std::iter::once(first).chain(made.join_all().await) {
            if matches!(answer, Ok(201)) {
                promised.push(name);
            }
        }
        assert!(!promised.is_empty());

        let server = start.server().await;
        let management = Management::of(&server);
        let mut scopes = std::collections::HashSet::new();
        for name in &promised {
            let shown = management.becomes(name, "Active").await;
            scopes.insert(shown["properties"]["idScope"].as_str().unwrap().to_owned());
            management.reached(name).await;
        }
        assert_eq!(scopes.len(), promised.len(), "each has an id scope of its own");
        while !management.is_free("doomed").await {
            tokio::task::yield_now().await;
        }
        server.stop();
    });
}

#[test]
fn hub_that_was_linked_over_arm_stays_linked_after_a_restart() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let start = Start::on(folder.path());
        let server = start.server().await;
        let management = Management::of(&server);
        let id = management.id("muster-dev");
        let mut shown = management.ask("GET", &id, None).await.unwrap().json();
        let foreign = "HostName=far.example;SharedAccessKeyName=iothubowner;SharedAccessKey=AQIDBA==";
        let links = shown["properties"]["iotHubs"].as_array_mut().unwrap();
        links.push(json!({"connectionString": foreign, "location": "westus", "allocationWeight": 3}));
        assert_eq!(management.ask("PUT", &id, Some(shown)).await.unwrap().status, 201);
        server.stop();

        let server = start.with(&["--hub", "other.example"]).server().await;
        let management = Management::of(&server);
        let shown = management.ask("GET", &id, None).await.unwrap().json();
        let links: Vec<_> = shown["properties"]["iotHubs"].as_array().unwrap().iter().collect();
        let names: Vec<_> = links.iter().map(|link| link["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["other.example", "far.example"], "{shown}");
        assert_eq!(links[1]["allocationWeight"], 3);
        server.stop();
    });
}
