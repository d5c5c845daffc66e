use dps_destinations::{Bucket, S3, S3Objects};
use dps_model::Secret;
use dps_monitor::destinations::{DeliveryError, Destination as _};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutPayload};
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
        S3::new(self.bucket(bucket, key), http(), now()).unwrap()
    }

    fn bucket(&self, bucket: &str, key: &str) -> Bucket {
        Bucket {
            bucket: bucket.into(),
            region: "eu-central-1".into(),
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            prefix: "muster (1)/".into(),
            key_id: self.key_id.clone(),
            key: Secret::from(key.to_owned()),
            token: None,
        }
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

#[tokio::test]
async fn bucket_is_an_object_store() {
    let store = Store::start().await;
    let objects = S3Objects::new(store.bucket("logs", &store.key), http(), now()).unwrap();
    let path = |text: &str| Path::parse(text).unwrap();
    let names = async |prefix: Option<Path>| {
        let found: Vec<_> = objects.list(prefix.as_ref()).try_collect().await.unwrap();
        let mut names: Vec<String> = found.into_iter().map(|it| it.location.to_string()).collect();
        names.sort();
        names
    };
    assert!(names(None).await.is_empty());
    let file = path("AzureDiagnostics/y=2026/m=11/a b.parquet");
    for location in [&file, &path("AzureDiagnostics/y=2027/b.parquet"), &path("top.parquet")] {
        objects.put(location, PutPayload::from_static(b"0123456789")).await.unwrap();
    }
    let read = async |range: Option<GetRange>| {
        let got = objects.get_opts(&file, GetOptions { range, ..GetOptions::default() }).await.unwrap();
        let (range, size) = (got.range.clone(), got.meta.size);
        (String::from_utf8(got.bytes().await.unwrap().to_vec()).unwrap(), range, size)
    };
    assert_eq!(read(None).await, ("0123456789".into(), 0..10, 10));
    assert_eq!(read(Some(GetRange::Bounded(2..5))).await, ("234".into(), 2..5, 10));
    assert_eq!(read(Some(GetRange::Suffix(3))).await, ("789".into(), 7..10, 10));
    assert_eq!(objects.head(&file).await.unwrap().size, 10);
    let parts = objects.get_ranges(&file, &[0..1, 8..10]).await.unwrap();
    assert_eq!(parts.iter().map(|part| &part[..]).collect::<Vec<_>>(), [&b"0"[..], b"89"]);

    assert_eq!(names(None).await.len(), 3);
    assert_eq!(names(Some(path("AzureDiagnostics/y=2026"))).await, [file.to_string()]);
    let top = objects.list_with_delimiter(None).await.unwrap();
    assert_eq!((top.objects.len(), &*top.common_prefixes), (1, &[path("AzureDiagnostics")][..]));

    let aside = path("aside.damaged");
    objects.rename(&file, &aside).await.unwrap();
    let missing = objects.get(&file).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }), "{missing}");
    objects.delete(&aside).await.unwrap();
    objects.delete(&aside).await.unwrap(); // what is not there is removed already
    assert_eq!(names(None).await, ["AzureDiagnostics/y=2027/b.parquet", "top.parquet"]);

    let other = S3Objects::new(store.bucket("logs", "wr0ng"), http(), now()).unwrap();
    let refused = other.get(&aside).await.unwrap_err().to_string();
    assert!(refused.contains("SignatureDoesNotMatch") && !refused.contains("wr0ng"), "{refused}");
    // A thread without a runtime may wait, as the one that keeps rows does.
    let waiting = objects.clone();
    let waited =
        std::thread::spawn(move || futures_executor(waiting.head(&path("top.parquet"))).unwrap().size);
    assert_eq!(tokio::task::spawn_blocking(move || waited.join().unwrap()).await.unwrap(), 10);
}

/// Waits for a future on a thread that has no runtime.
fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
