//! Kafka, and Event Hubs by its Kafka endpoint: a message is `{"records":[…]}`, as Azure sends them. Owns topics, leaders
//! and which errors pass; must not know what a record says.

mod answer;
mod connection;
mod event_hubs;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use dps_model::Secret;
use dps_monitor::destinations::{Batch, DeliveryError, Destination};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, MetadataRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rustls::ClientConfig;
use tokio::sync::Mutex;

use self::answer::Metadata;
use self::connection::{Access, Connection};
use crate::http::{SetupError, is_here};
use crate::limits::{MAX_BOOTSTRAP, MAX_MESSAGE, MAX_TOPIC, MAX_TOPICS_KNOWN, REQUEST_SECONDS};
use crate::{record, signing, storage_path};

/// How a cluster is reached.
#[derive(Clone)]
pub struct KafkaSettings {
    /// Some of its brokers, `host:port` each.
    pub bootstrap: Vec<String>,
    /// Over TLS.
    pub tls: bool,
    /// With a name and password by SASL PLAIN.
    pub sasl: Option<(String, Secret)>,
    /// The topic; without it the category decides: `insights-logs-deviceoperations` …
    pub topic: Option<String>,
}

/// A cluster, and the topic there if it is always the same.
#[derive(Clone)]
pub struct Kafka {
    cluster: Arc<Cluster>,
    topic: Option<String>,
}

struct Cluster {
    bootstrap: Vec<(String, u16)>,
    access: Access,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    topics: HashMap<String, Metadata>,
    connections: HashMap<(String, u16), Connection>,
}

impl Kafka {
    /// That cluster, by these settings of TLS if it is reached over TLS.
    pub fn new(settings: &KafkaSettings, tls: ClientConfig) -> Result<Self, SetupError> {
        let KafkaSettings { bootstrap, tls: with_tls, sasl, topic } = settings;
        let read = |text: &String| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?)).filter(|_| !host.is_empty())
        };
        let bootstrap: Option<Vec<(String, u16)>> = bootstrap.iter().map(read).collect();
        let bootstrap = bootstrap.filter(|all| (1..=MAX_BOOTSTRAP).contains(&all.len()));
        let bootstrap = bootstrap.ok_or_else(|| {
            SetupError(format!(
                "bootstrap is a list of 1 to {MAX_BOOTSTRAP} addresses like \"broker.example:9093\""
            ))
        })?;
        if sasl.is_some() && !with_tls && !bootstrap.iter().all(|(host, _)| is_here(host)) {
            return Err(SetupError(
                "a password leaves this machine over TLS alone; set tls = true".to_owned(),
            ));
        }
        let access = Access { tls: with_tls.then(|| Arc::new(tls)), sasl: sasl.clone() };
        if let Some(topic) = topic.as_deref().filter(|topic| !is_topic(topic)) {
            let shown: String = topic.chars().take(40).collect();
            return Err(SetupError(format!("{shown:?} is no topic: letters, digits, '.', '_' and '-'")));
        }
        let cluster = Cluster { bootstrap, access, known: Mutex::default() };
        Ok(Self { cluster: Arc::new(cluster), topic: topic.clone() })
    }

    /// The namespace of Event Hubs that a connection string names.
    pub fn event_hubs(connection_string: &Secret, tls: ClientConfig) -> Result<Self, SetupError> {
        Self::new(&event_hubs::settings(connection_string)?, tls)
    }
}

#[async_trait]
impl Destination for Kafka {
    async fn deliver(&self, batch: &Batch) -> Result<(), DeliveryError> {
        let Some(container) = storage_path::container(&batch.records) else { return Ok(()) };
        let topic = self.topic.as_deref().unwrap_or(&container);
        let envelopes = record::envelopes(&record::encode(batch)?, MAX_MESSAGE);
        // One partition a batch: its messages stay in order, and batches spread.
        let digest = signing::sha256(&envelopes.concat());
        let spread = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        for envelope in envelopes {
            self.cluster.produce(topic, spread, envelope.into(), batch.received.millis()).await?;
        }
        Ok(())
    }

    fn event_hub(&self, name: &str) -> Option<Arc<dyn Destination>> {
        let topic = is_topic(name).then(|| name.to_owned())?;
        Some(Arc::new(Self { cluster: Arc::clone(&self.cluster), topic: Some(topic) }))
    }
}

impl Cluster {
    /// Sends a message and waits until all replicas in sync have it. What goes wrong on the way is forgotten, so that the
    /// next try looks anew.
    async fn produce(&self, topic: &str, spread: u64, message: Bytes, at: i64) -> Result<(), DeliveryError> {
        let mut known = self.known.lock().await;
        let (partition, host, port) = self.leader(&mut known, topic, spread).await?;
        let request = produce_request(topic, partition, message, at)?;
        let broker = (host, port);
        // A connection that breaks, or whose use is given up, is not put back.
        let sent = async {
            let mut connection = match known.connections.remove(&broker) {
                Some(connection) => connection,
                None => Connection::open(&broker.0, broker.1, &self.access).await?,
            };
            let asked = connection.ask(ApiKey::Produce, 7, &request).await;
            let bytes = asked.map_err(|why| format!("{}:{}: {why}", broker.0, broker.1))?;
            let code =
                answer::produced(&bytes).map_err(|_| "the broker's answer cannot be read".to_owned())?;
            Ok((connection, code))
        };
        match sent.await {
            Ok((connection, 0)) => {
                known.connections.insert(broker, connection);
                Ok(())
            }
            Ok((connection, code)) => {
                known.connections.insert(broker, connection);
                known.topics.remove(topic);
                Err(refusal(topic, code))
            }
            Err(why) => {
                known.topics.remove(topic);
                Err(later(why))
            }
        }
    }

    /// A partition of the topic and its leader.
    async fn leader(
        &self,
        known: &mut Known,
        topic: &str,
        spread: u64,
    ) -> Result<(i32, String, u16), DeliveryError> {
        if !known.topics.contains_key(topic) {
            if known.topics.len() >= MAX_TOPICS_KNOWN {
                known.topics.clear();
                known.connections.clear();
            }
            let metadata = self.metadata(topic).await?;
            known.topics.insert(topic.to_owned(), metadata);
        }
        let leaders = known.topics.get(topic).map_or(&[][..], |metadata| &metadata.leaders);
        let index = spread.checked_rem(leaders.len() as u64).and_then(|index| usize::try_from(index).ok());
        let chosen = index.and_then(|index| leaders.get(index)).cloned();
        if chosen.is_none() {
            known.topics.remove(topic);
        }
        chosen.ok_or_else(|| later(format!("no partition of topic {topic} has a leader")))
    }

    /// Asks one address after the other.
    async fn metadata(&self, topic: &str) -> Result<Metadata, DeliveryError> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name))]))
            .with_allow_auto_topic_creation(true);
        let mut why = String::new();
        for (host, port) in &self.bootstrap {
            let asked = async {
                let mut connection = Connection::open(host, *port, &self.access).await?;
                let bytes = connection.ask(ApiKey::Metadata, 4, &request).await?;
                answer::metadata(&bytes, topic)
                    .map_err(|_| format!("{host}:{port}: its answer cannot be read"))
            };
            match asked.await {
                Ok(Metadata { error: 0, leaders }) => return Ok(Metadata { error: 0, leaders }),
                Ok(Metadata { error, .. }) => return Err(refusal(topic, error)),
                Err(failed) => why = failed,
            }
        }
        Err(later(why))
    }
}

fn produce_request(
    topic: &str,
    partition: i32,
    message: Bytes,
    at: i64,
) -> Result<ProduceRequest, DeliveryError> {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: at,
        key: None,
        value: Some(message),
        headers: std::iter::empty::<(StrBytes, Option<Bytes>)>().collect(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    let encoded = RecordBatchEncoder::encode(&mut bytes, [&record], &options);
    encoded.map_err(|error| DeliveryError::Refused(format!("a message cannot be written: {error}")))?;
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(bytes.freeze()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    let milliseconds = i32::try_from(REQUEST_SECONDS * 1_000).unwrap_or(i32::MAX);
    Ok(ProduceRequest::default().with_acks(-1).with_timeout_ms(milliseconds).with_topic_data(vec![topic]))
}

/// A broker's error. What somebody may mend there (a topic, rights) is for later.
fn refusal(topic: &str, code: i16) -> DeliveryError {
    let Some(error) = ResponseError::try_from_code(code) else {
        return later(format!("topic {topic}: error {code}"));
    };
    let why = format!("topic {topic}: {error}");
    match error {
        ResponseError::MessageTooLarge
        | ResponseError::RecordListTooLarge
        | ResponseError::InvalidTopicException
        | ResponseError::InvalidRecord => DeliveryError::Refused(why),
        _ => later(why),
    }
}

fn later(why: String) -> DeliveryError {
    DeliveryError::Later { why, after: None }
}

fn is_topic(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (1..=MAX_TOPIC).contains(&name.len()) && letters && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use dps_monitor::destinations::{DeliveryError, Destination as _};

    use std::sync::Arc;

    use dps_model::Secret;

    use super::{Kafka, KafkaSettings, refusal};
    use crate::http::tls;

    fn open(settings: &KafkaSettings) -> Result<Kafka, String> {
        let tls = tls(Arc::new(rustls::crypto::aws_lc_rs::default_provider()), []).unwrap();
        Kafka::new(settings, tls).map_err(|error| error.to_string())
    }

    fn kafka(bootstrap: &[&str], topic: Option<&str>) -> Result<Kafka, String> {
        let bootstrap = bootstrap.iter().map(|text| (*text).to_owned()).collect();
        open(&KafkaSettings { bootstrap, tls: false, sasl: None, topic: topic.map(str::to_owned) })
    }

    #[test]
    fn password_leaves_the_machine_over_tls_alone() {
        for (host, tls, is_taken) in [
            ("a:9092", false, false),
            ("a:9092", true, true),
            ("localhost:9092", false, true),
            ("[::1]:1", false, true),
        ] {
            let sasl = Some(("user".to_owned(), Secret::from("s3cret".to_owned())));
            let settings = KafkaSettings { bootstrap: vec![host.to_owned()], tls, sasl, topic: None };
            let opened = open(&settings);
            assert_eq!(opened.is_ok(), is_taken, "{host} {tls}");
        }
    }

    #[test]
    fn addresses_and_topics_are_checked() {
        assert!(kafka(&["a:9092", "[::1]:9093"], Some("insights.logs_a-1")).is_ok());
        for (bootstrap, topic) in [
            (&[][..], None),
            (&["a"], None),
            (&["a:0"], None),
            (&[":9092"], None),
            (&["a:99999"], None),
            (&["a:1"; 17], None),
            (&["a:1"], Some("")),
            (&["a:1"], Some("..")),
            (&["a:1"], Some("a b")),
            (&["a:1"], Some(&*"x".repeat(250))),
        ] {
            assert!(kafka(bootstrap, topic).is_err(), "{bootstrap:?} {topic:?}");
        }
    }

    #[test]
    fn event_hub_is_a_topic_when_it_can_be_one() {
        let kafka = kafka(&["a:9092"], None).unwrap_or_else(|why| panic!("{why}"));
        assert!(kafka.event_hub("muster-logs").is_some());
        assert!(kafka.event_hub("muster logs").is_none());
    }

    #[test]
    fn errors_that_can_be_mended_at_the_broker_are_for_later() {
        for (code, is_later) in [(3, true), (6, true), (29, true), (10, false), (17, false), (999, true)] {
            let error = refusal("t", code);
            assert_eq!(matches!(error, DeliveryError::Later { .. }), is_later, "{error}");
        }
    }
}
