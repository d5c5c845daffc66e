//! A link whose key is stale is told before a device fails, in the log, in the metrics and in `/health`.

use super::fixture::{Hub, Site};
use crate::harness::run;

#[test]
fn stale_key_of_a_hub_is_told_before_a_device_comes_and_so_is_its_end() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let right = std::fs::read_to_string(site.folder.join("hub.txt")).unwrap();
        let (head, _) = right.split_once("SharedAccessKey=").unwrap();
        site.put("hub.txt", &format!("{head}SharedAccessKey={}=", "A".repeat(43)));
        let server = site.start().await;
        let down = |_, body: &serde_json::Value| body["linkedHubs"][0]["up"] == false;
        let health = server.until("/health", down).await;
        assert_eq!(health["linkedHubs"][0]["reason"], "HubUnauthorized");
        assert_eq!(
            (&health["linkedHubs"][0]["instance"], &health["status"]),
            (&"factory".into(), &"ok".into())
        );
        let metrics = server.plain("/metrics").await.1;
        let metrics = metrics.as_str().unwrap();
        for line in [
            r#"muster_linked_hub_up{instance="factory",hub="localhost"} 0"#,
            r#"muster_linked_hub_trouble{instance="factory",hub="localhost",reason="HubUnauthorized"} 1"#,
            r#"muster_linked_hub_news_total{instance="factory",hub="localhost",news="Down"} 1"#,
        ] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
        server.stop();
        let log =
            std::fs::read_to_string(site.folder.join("data/logs/attempts-0000000000000000.jsonl")).unwrap();
        let rows: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|row: &serde_json::Value| row["operationName"] == "LinkedHubProbe")
            .collect();
        assert_eq!(rows.len(), 1, "told once: {rows:?}");
        assert_eq!(
            (&rows[0]["properties"]["news"], &rows[0]["properties"]["hub"]),
            (&"Down".into(), &"localhost".into())
        );
        assert!(!log.contains(&"A".repeat(43)), "no key is told");

        site.put("hub.txt", &right);
        let server = site.start().await;
        server.until("/health", |_, body| body["linkedHubs"][0]["up"] == true).await;
        server.stop();
        hub.server.stop();
    });
}
