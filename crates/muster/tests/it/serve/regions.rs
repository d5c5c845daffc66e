//! Allocation by latency: the files of regions that a running server takes, and those that it does not.

use serde_json::{Value, json};

use dps_model::Secret;

use super::fixture::{Hub, Production, Site};
use crate::harness::device::{Device, Protocol};
use crate::harness::run;

const NEAR_FIRST: &str = "plant localhost 9\nplant 127.0.0.1 112\n";
const NEAR_SECOND: &str = "plant localhost 112\nplant 127.0.0.1 9\n";
/// The second line has a mistake, and the first would decide otherwise.
const MISTAKE: &str = "plant localhost 1\nplant 127.0.0.1 many\n";

/// Two linked hubs, allocated by latency; the files say where this machine is, and which hub is near.
fn site(hub: &Hub) -> Site {
    let site = Site::linked(hub);
    let first = std::fs::read_to_string(site.folder.join("hub.txt")).unwrap();
    site.put("second.txt", &first.replacen("HostName=localhost", "HostName=127.0.0.1", 1));
    site.put("networks.txt", "127.0.0.0/8 plant\n");
    site.put("latencies.txt", NEAR_FIRST);
    site.settings("[regions]\nnetworks = \"networks.txt\"\nlatencies = \"latencies.txt\"");
    let text = std::fs::read_to_string(site.folder.join("muster.toml")).unwrap();
    let linked = "allocation_policy = \"geoLatency\"\n[[instance.hub]]\nconnection = { file = \"second.txt\" }\n\
                  [[instance.hub]]";
    site.put("muster.toml", &text.replacen("[[instance.hub]]", linked, 1));
    site
}

async fn hub_of(id: &str, key: &Secret, server: &Production) -> Value {
    let device = Device::of_group(id, Protocol::Https, key, &server.endpoint);
    device.provision(&server.endpoint).await.unwrap()["assignedHub"].clone()
}

/// Reloads, and waits until the server said so `times` times.
async fn reload(server: &Production, times: usize) {
    server.process.hang_up();
    while server.process.stderr.text().matches("\"message\":\"reloaded\"").count() < times {
        tokio::task::yield_now().await;
    }
}

#[test]
fn files_of_regions_decide_and_are_taken_anew_unless_they_have_a_mistake() {
    run(async {
        let hub = Hub::start_with(&["--hub", "localhost", "--hub", "127.0.0.1"]).await;
        let site = site(&hub);
        let server = site.start().await;
        let key = Secret::new(vec![5; 64]);
        let mut http = server.endpoint.http().await.unwrap();
        server.endpoint.enroll_group(&mut http, "all", &key).await.unwrap();
        for id in ["one", "two", "three", "four"] {
            assert_eq!(hub_of(id, &key, &server).await, "localhost", "{id}");
        }

        site.put("latencies.txt", NEAR_SECOND);
        reload(&server, 1).await;
        for id in ["five", "six", "seven", "eight"] {
            assert_eq!(hub_of(id, &key, &server).await, "127.0.0.1", "{id}");
        }

        site.put("latencies.txt", MISTAKE);
        reload(&server, 2).await;
        let said = server.process.stderr.text();
        assert!(said.contains("the settings stay as they are"), "{said}");
        assert!(said.contains("latencies.txt: line 2, column 17: \\\"many\\\" is no whole number"), "{said}");
        for id in ["nine", "ten", "eleven", "twelve"] {
            assert_eq!(hub_of(id, &key, &server).await, "127.0.0.1", "{id}");
        }
        drop(http);
        server.stop();
        hub.server.stop();

        let log = site.folder.join("data/logs/attempts-0000000000000000.jsonl");
        let log = std::fs::read_to_string(log).unwrap();
        let rows = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told: Vec<Value> = rows.map(|row| row["properties"]["allocation"].clone()).collect();
        for (near, far, devices) in [("localhost", "127.0.0.1", 4), ("127.0.0.1", "localhost", 8)] {
            let scores = json!([{"hub": near, "latencyMs": 9}, {"hub": far, "latencyMs": 112}]);
            let wanted = json!({"policy": "geoLatency", "region": "plant", "scores": scores});
            assert_eq!(told.iter().filter(|allocation| **allocation == wanted).count(), devices, "{told:?}");
        }
    });
}
