use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_destinations::AzureBlob;
use dps_model::Secret;
use dps_monitor::destinations::{Batch, DeliveryError, Destination as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::fixtures::{RESOURCE, log, logs, metrics};
use crate::peers::{Peer, node, start};
use crate::{http, now};

const ACCOUNT: &str = "muster";
const KEY: &str = "bm90IGEgc2VjcmV0LCBidXQgYSBrZXkgb2YgdGVzdHM=";

struct Storage {
    _peer: Peer,
    _folder: TempDir,
    port: u16,
}

impl Storage {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("node");
        command
            .arg(node().await.join("azurite/dist/src/blob/main.js"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--disableTelemetry", "--location"])
            .arg(folder.path())
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        let peer = start(command, "successfully listens on http://127.0.0.1:").await;
        let port = peer.port;
        Self { _peer: peer, _folder: folder, port }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    fn by_key(&self, key: &str) -> AzureBlob {
        self.through(self.port, key)
    }

    #[allow(clippy::unused_self)] // whose account it is
    fn through(&self, port: u16, key: &str) -> AzureBlob {
        let text =
            format!("AccountName={ACCOUNT};AccountKey={key};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}");
        destination(&text)
    }

    /// The lines of a blob, read with a signature of the test's own; none when there is no such blob.
    async fn lines(&self, container: &str, blob: &str) -> Option<Vec<String>> {
        let path = format!("{container}/resourceId={RESOURCE}/y=2026/m=11/d=29/h=09/m=00/{blob}");
        let url = format!("{}/{path}?{}", self.endpoint(), sas());
        let answer = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .build()
            .unwrap()
            .get(url)
            .send()
            .await
            .unwrap();
        if answer.status() == 404 {
            return None;
        }
        assert_eq!(answer.status(), 200);
        Some(answer.text().await.unwrap().lines().map(str::to_owned).collect())
    }

    /// Ids in the blob of device logs.
    async fn ids(&self, blob: &str) -> Vec<String> {
        let lines = self.lines("insights-logs-deviceoperations", blob).await.unwrap_or_default();
        let id = |line: &String| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let properties: serde_json::Value =
                serde_json::from_str(record["properties"].as_str().unwrap()).unwrap();
            properties["id"].as_str().unwrap().to_owned()
        };
        lines.iter().map(id).collect()
    }
}

fn tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    dps_destinations::tls(provider, []).unwrap()
}

fn destination(connection_string: &str) -> AzureBlob {
    AzureBlob::new(&Secret::from(connection_string.to_owned()), http(), now()).unwrap()
}

/// A shared access signature for the whole account ("Create an account SAS").
fn sas() -> String {
    let (permissions, expiry, version) = ("rwlac", "2099-01-01T00:00:00Z", "2021-12-02");
    let text = format!("{ACCOUNT}\n{permissions}\nb\nsco\n\n{expiry}\n\n\n{version}\n\n");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()));
    let signature = percent_encoding::utf8_percent_encode(&signature, percent_encoding::NON_ALPHANUMERIC);
    format!("sv={version}&ss=b&srt=sco&sp={permissions}&se={expiry}&sig={signature}")
}

fn batch(ids: &[&str]) -> Batch {
    logs(&ids.iter().map(|id| log(id)).collect::<Vec<_>>())
}

#[tokio::test]
async fn batches_are_appended_by_shared_key_and_by_sas() {
    let storage = Storage::start().await;
    let by_key = storage.by_key(KEY);
    by_key.deliver(&batch(&["a", "b"])).await.unwrap();
    let by_sas = destination(&format!("BlobEndpoint={};SharedAccessSignature={}", storage.endpoint(), sas()));
    by_sas.deliver(&batch(&["c"])).await.unwrap();
    by_key.deliver(&batch(&["d"])).await.unwrap();
    by_sas.deliver(&metrics()).await.unwrap();
    by_key.deliver(&batch(&[])).await.unwrap();
    assert_eq!(storage.ids("PT1H.json").await, ["a", "b", "c", "d"]);
    assert_eq!(storage.lines("insights-metrics-pt1m", "PT1H.json").await.map(|lines| lines.len()), Some(1));
}

#[tokio::test]
async fn blob_that_takes_no_more_blocks_is_followed_by_another() {
    let storage = Storage::start().await;
    let small = storage.by_key(KEY).with_blocks(2);
    for id in ["a", "b", "c", "d", "e"] {
        small.deliver(&batch(&[id])).await.unwrap();
    }
    // One that knows nothing of it finds the place.
    storage.by_key(KEY).with_blocks(2).deliver(&batch(&["f"])).await.unwrap();
    assert_eq!(storage.ids("PT1H.json").await, ["a", "b"]);
    assert_eq!(storage.ids("PT1H_1.json").await, ["c", "d"]);
    assert_eq!(storage.ids("PT1H_2.json").await, ["e", "f"]);
}

#[tokio::test]
async fn batch_larger_than_a_block_is_appended_in_pieces() {
    let storage = Storage::start().await;
    let long = "x".repeat(400_000);
    let ids: Vec<String> = (0..25).map(|number| format!("{number}-{long}")).collect();
    let large = batch(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    storage.by_key(KEY).with_blocks(2).deliver(&large).await.unwrap();
    let mut found = storage.ids("PT1H.json").await;
    found.extend(storage.ids("PT1H_1.json").await);
    assert!(found == ids, "{} of {}", found.len(), ids.len());
}

#[tokio::test]
async fn block_whose_answer_was_lost_is_not_appended_twice() {
    let storage = Storage::start().await;
    let line = Line::start(storage.port).await;
    let by_key = storage.through(line.port, KEY).with_blocks(2);
    by_key.deliver(&batch(&["a"])).await.unwrap();
    // Each is taken, and the answer is lost: in the middle of a blob, as its last block, and in the next.
    for id in ["b", "c"] {
        line.lose_answer_to("comp=appendblock");
        let failed = by_key.deliver(&batch(&[id])).await.unwrap_err();
        assert!(matches!(failed, DeliveryError::Later { .. }), "{failed}");
        by_key.deliver(&batch(&[id])).await.unwrap();
    }
    // The same words in another batch are another batch.
    by_key.deliver(&batch(&["c"])).await.unwrap();
    assert_eq!(storage.ids("PT1H.json").await, ["a", "b"]);
    assert_eq!(storage.ids("PT1H_1.json").await, ["c", "c"]);
    assert_eq!(line.lost.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn two_servers_append_to_one_blob_without_loss() {
    let storage = Storage::start().await;
    let (one, other) = (storage.by_key(KEY), storage.by_key(KEY));
    one.deliver(&batch(&["a"])).await.unwrap();
    for _ in 0..5 {
        let (b, c) = (batch(&["b"]), batch(&["c"]));
        let (left, right) = tokio::join!(one.deliver(&b), other.deliver(&c));
        left.unwrap();
        right.unwrap();
    }
    let mut ids = storage.ids("PT1H.json").await;
    ids.sort();
    assert_eq!(ids.concat(), "abbbbbccccc");
}

#[tokio::test]
async fn wrong_key_is_for_later_and_named() {
    let storage = Storage::start().await;
    let wrong = storage.by_key("d3IwbmdzM2NyZXQ=");
    let failed = wrong.deliver(&batch(&["a"])).await.unwrap_err();
    let DeliveryError::Later { why, .. } = failed else { panic!("{failed}") };
    assert!(why.contains("403") && !why.contains("d3Iwb"), "{why}");
    let nobody = storage.through(1, KEY).deliver(&batch(&["a"])).await.unwrap_err();
    assert!(matches!(nobody, DeliveryError::Later { .. }), "{nobody}");
}

/// A line to a server on which an answer can get lost: the request arrives, and nobody hears of it.
struct Line {
    port: u16,
    word: Arc<std::sync::Mutex<Option<String>>>,
    lost: Arc<AtomicUsize>,
}

impl Line {
    async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (word, lost) =
            (Arc::<std::sync::Mutex<Option<String>>>::default(), Arc::<AtomicUsize>::default());
        let (its_word, its_lost) = (Arc::clone(&word), Arc::clone(&lost));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&its_word), Arc::clone(&its_lost)));
            }
        });
        Self { port, word, lost }
    }

    fn lose_answer_to(&self, word: &str) {
        *self.word.lock().unwrap() = Some(word.to_owned());
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    word: Arc<std::sync::Mutex<Option<String>>>,
    lost: Arc<AtomicUsize>,
) {
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut losing = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let text = String::from_utf8_lossy(&up[..count]);
                    losing |= word.lock().unwrap().take_if(|word| text.contains(word.as_str())).is_some();
                    server.write_all(&up[..count]).await.unwrap();
                }
            },
            read = server.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if losing => {
                    lost.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Ok(count) => client.write_all(&down[..count]).await.unwrap(),
            },
        }
    }
}
