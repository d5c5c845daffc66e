use dps_destinations::{Bucket, S3};
use dps_model::Secret;
use dps_monitor::destinations::{DeliveryError, Destination as _};
use tokio::process::Command;

use crate::fixtures::{RESOURCE, log, logs, metrics};
use crate::peers::{Peer, python, script, start};
use crate::{http, now};

struct Store {
    _peer: Peer,
    endpoint: String,
    key_id: String,
    key: String,
}

impl Store {
    /// A server that checks signatures from its fifth call on.
    async fn start() -> Self {
        let mut command = Command::new(python().await);
        command
            .args(["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "4");
        let peer = start(command, "Running on http://127.0.0.1:").await;
        let endpoint = format!("http://127.0.0.1:{}", peer.port);
        let made = script("s3.py", &["prepare", &endpoint]).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { _peer: peer, endpoint, key_id: text("id"), key: text("key") }
    }

    fn destination(&self, bucket: &str, key: &str) -> S3 {
        let bucket = Bucket {
            bucket: bucket.into(),
            region: "eu-central-1".into(),
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            prefix: "muster (1)/".into(),
            key_id: self.key_id.clone(),
            key: Secret::from(key.to_owned()),
            token: None,
        };
        S3::new(bucket, http(), now()).unwrap()
    }

    async fn objects(&self) -> Vec<(String, String)> {
        let shown = script("s3.py", &["show", &self.endpoint, &self.key_id, &self.key]).await;
        let objects = shown.as_object().unwrap().iter();
        objects.map(|(name, body)| (name.clone(), body.as_str().unwrap().to_owned())).collect()
    }
}

#[tokio::test]
async fn batch_is_an_object_and_replaces_itself() {
    let store = Store::start().await;
    let destination = store.destination("logs", &store.key);
    let batch = logs(&[log("a"), log("b")]);
    for batch in [&batch, &batch, &logs(&[log("c")]), &metrics()] {
        destination.deliver(batch).await.unwrap();
    }
    let objects = store.objects().await;
    let hour = format!("resourceId={RESOURCE}/y=2026/m=11/d=29/h=09/m=00/PT1H-20261129T090001Z-");
    let lines = |container: &str| -> Vec<usize> {
        let prefix = format!("muster (1)/{container}/{hour}");
        let own = objects
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix) && name.strip_suffix(".json").is_some());
        let mut lines: Vec<usize> = own.map(|(_, body)| body.lines().count()).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines("insights-logs-deviceoperations"), [1, 2], "{objects:?}");
    assert_eq!(lines("insights-metrics-pt1m"), [1]);
    assert_eq!(objects.len(), 3);
    let two = objects.iter().find(|(_, body)| body.lines().count() == 2).unwrap();
    assert!(two.1.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[tokio::test]
async fn wrong_key_and_missing_bucket_are_for_later_and_named() {
    let store = Store::start().await;
    for (bucket, key, reason) in
        [("logs", "wr0ng", "SignatureDoesNotMatch"), ("other", &store.key, "NoSuchBucket")]
    {
        let failed = store.destination(bucket, key).deliver(&logs(&[log("a")])).await.unwrap_err();
        let DeliveryError::Later { why, .. } = failed else { panic!("{failed}") };
        assert!(why.contains(reason) && !why.contains("wr0ng"), "{why}");
    }
    assert!(store.objects().await.is_empty());
}
