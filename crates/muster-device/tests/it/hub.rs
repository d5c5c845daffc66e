use dps_attestation::{SasToken, symmetric_key};
use dps_wire::mqtt::packet::{ConnectReturnCode, Packet};
use dps_wire::mqtt::topic::hub::{DeviceTopic, HubTopic, UserName};
use muster_device::{
    Assignment, Attestation, Clock, Desired, Error, HubClient, HubOptions, SystemClock, Transport,
};
use serde_json::json;

use crate::mqtt_peer::Peer;
use crate::pki::{Ca, Listener, leaf};
use crate::{KEY, key};

const HUB: &str = "hub.test";
const ID: &str = "device-1";

fn options(ca: &Ca, listener: &Listener) -> HubOptions {
    HubOptions::default().port(listener.port).roots(ca.pem()).dial("127.0.0.1")
}

async fn connect(
    ca: &Ca,
    listener: &Listener,
    credential: &Attestation,
) -> (Result<HubClient, Error>, Peer, dps_wire::mqtt::packet::Connect, Vec<String>) {
    let assignment = Assignment::new(HUB, ID).unwrap();
    let serve = async {
        let mut peer = Peer::accept(listener).await;
        let (connect, filters) = peer.welcome().await;
        (peer, connect, filters)
    };
    let connected = HubClient::connect(&assignment, credential, options(ca, listener));
    let (hub, (peer, connect, filters)) = tokio::join!(connected, serve);
    (hub, peer, connect, filters)
}

async fn connected() -> (HubClient, Peer) {
    let ca = Ca::new();
    let listener = ca.listen(&[HUB]).await;
    let (hub, peer, ..) = connect(&ca, &listener, &key()).await;
    (hub.unwrap(), peer)
}

/// Reads a twin request and answers it.
async fn answer_twin(peer: &mut Peer, status: u16, version: Option<u64>, body: &str) -> DeviceTopic {
    let publish = peer.message().await;
    let topic = DeviceTopic::parse(&publish.topic).unwrap();
    let (DeviceTopic::TwinGet { rid } | DeviceTopic::TwinReported { rid }) = &topic else {
        panic!("a twin request expected: {topic:?}");
    };
    let answer = HubTopic::TwinResponse { status, rid: rid.clone(), version }.topic().unwrap();
    peer.publish(&answer, body).await;
    topic
}

#[tokio::test]
async fn hub_symmetric_key_connects_as_the_sdks_do() {
    let ca = Ca::new();
    let listener = ca.listen(&[HUB]).await;
    let (hub, mut peer, connect, filters) = connect(&ca, &listener, &key()).await;
    let user_name = UserName::parse(connect.user_name.as_deref().unwrap()).unwrap();
    assert_eq!((user_name.hub_host.as_str(), user_name.device_id.as_str()), (HUB, ID));
    assert!(user_name.device_client_type.unwrap().starts_with("muster-device/"));
    assert_eq!(connect.client_id, ID);
    let token = SasToken::parse(connect.password.unwrap().expose_str().unwrap()).unwrap();
    assert!(token.resource_is("hub.test/devices/device-1"));
    assert_eq!(token.policy(), None);
    let key = symmetric_key::read(KEY).unwrap();
    token.check([&key, &key], SystemClock.now()).unwrap();
    assert_eq!(filters, ["$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"]);
    let (closed, left) = tokio::join!(hub.unwrap().close(), peer.left_in_good_order());
    closed.unwrap();
    assert!(left);
}

#[tokio::test]
async fn hub_certificate_connects_without_password() {
    let ca = Ca::new();
    let listener = ca.listen(&[HUB]).await;
    let (credential, certificate) = ca.device(ID);
    let (hub, peer, connect, _) = connect(&ca, &listener, &credential).await;
    hub.unwrap();
    assert_eq!(connect.password, None);
    assert_eq!(leaf(&peer.stream), Some(certificate));
}

#[tokio::test]
async fn hub_refused_connection_says_what_it_means() {
    let ca = Ca::new();
    let listener = ca.listen(&[HUB]).await;
    let assignment = Assignment::new(HUB, ID).unwrap();
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        peer.connect().await;
        peer.connack(ConnectReturnCode::NotAuthorized).await;
        peer
    };
    let credential = key();
    let connected = HubClient::connect(&assignment, &credential, options(&ca, &listener));
    let (result, _peer) = tokio::join!(connected, serve);
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ConnectionRefused { return_code: 5, .. }), "{error}");
}

#[tokio::test]
async fn hub_through_a_websocket_is_the_same_conversation() {
    let ca = Ca::new();
    let listener = ca.listen(&[HUB]).await;
    let (credential, assignment) = (key(), Assignment::new(HUB, ID).unwrap());
    let serve = async {
        let (head, inside) = crate::provision_websocket::agree(listener.accept().await.unwrap()).await;
        let mut peer = Peer::on(inside);
        let (connect, _) = peer.welcome().await;
        (peer, connect, head)
    };
    let options = options(&ca, &listener).transport(Transport::MqttWs);
    let connected = HubClient::connect(&assignment, &credential, options);
    let (hub, (mut peer, connect, head)) = tokio::join!(connected, serve);
    assert!(head.starts_with("GET /$iothub/websocket HTTP/1.1\r\n"), "{head}");
    assert_eq!(connect.client_id, ID);
    let hub = hub.unwrap();
    let payload = vec![b'x'; 100_000];
    let (sent, publish) = tokio::join!(hub.send_telemetry(payload.clone(), &[]), peer.message());
    sent.unwrap();
    assert!(publish.payload == payload, "more than one frame takes");
}

#[tokio::test]
async fn hub_over_https_is_a_wrong_setting() {
    let options = HubOptions::default().transport(Transport::Https);
    let assignment = Assignment::new(HUB, ID).unwrap();
    let error = HubClient::connect(&assignment, &key(), options).await.unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
}

#[tokio::test]
async fn hub_telemetry_done_when_acknowledged() {
    let (hub, mut peer) = connected().await;
    let properties = [("$.ct", "application/json"), ("a b", "c/d")];
    let (sent, publish) = tokio::join!(hub.send_telemetry("{\"t\":21.5}", &properties), peer.message());
    sent.unwrap();
    assert_eq!(publish.topic, "devices/device-1/messages/events/%24.ct=application%2Fjson&a%20b=c%2Fd");
    assert_eq!(&publish.payload[..], b"{\"t\":21.5}");
}

#[tokio::test]
async fn hub_many_messages_each_told_of_its_own_acknowledgement() {
    let (hub, mut peer) = connected().await;
    let serve = async {
        let mut held = Vec::new();
        while held.len() < 8 {
            let Some(Packet::Publish(publish)) = peer.read().await else { panic!("PUBLISH expected") };
            held.push(publish.delivery.packet_id().unwrap());
        }
        // The other way round.
        while let Some(id) = held.pop() {
            peer.write(Packet::PubAck(id)).await;
        }
    };
    let send = async || hub.send_telemetry("x", &[]).await.unwrap();
    tokio::join!(serve, send(), send(), send(), send(), send(), send(), send(), send());
}

#[tokio::test]
async fn hub_too_large_message_refused_here_and_the_connection_stays() {
    let (hub, mut peer) = connected().await;
    let error = hub.send_telemetry(vec![0; 256 * 1024 + 1], &[]).await.unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
    let long = "x".repeat(70_000);
    let error = hub.send_telemetry("x", &[("key", &long)]).await.unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
    let (sent, _) = tokio::join!(hub.send_telemetry("x", &[]), peer.message());
    sent.unwrap();
}

#[tokio::test]
async fn hub_twin_read_and_reported() {
    let (hub, mut peer) = connected().await;
    let body = r#"{"desired":{"interval":5,"$version":4},"reported":{"$version":7}}"#;
    let (twin, topic) = tokio::join!(hub.twin(), answer_twin(&mut peer, 200, None, body));
    assert!(matches!(topic, DeviceTopic::TwinGet { .. }));
    let twin = twin.unwrap();
    assert_eq!((&twin.desired["interval"], &twin.reported["$version"]), (&json!(5), &json!(7)));

    let patch = json!({"interval": 5});
    let (version, topic) = tokio::join!(hub.report(&patch), answer_twin(&mut peer, 204, Some(8), ""));
    assert!(matches!(topic, DeviceTopic::TwinReported { .. }));
    assert_eq!(version.unwrap(), 8);
    assert!(matches!(hub.report(&json!([1])).await.unwrap_err(), Error::Setting(_)));
}

#[tokio::test]
async fn hub_twin_refusal_and_nonsense_are_errors() {
    let (hub, mut peer) = connected().await;
    let throttled = r#"{"errorCode":429001,"trackingId":"t","message":"slow down"}"#;
    let (twin, _) = tokio::join!(hub.twin(), answer_twin(&mut peer, 429, None, throttled));
    let error = twin.unwrap_err();
    assert!(matches!(&error, Error::Refused { status: 429, .. }) && error.is_transient(), "{error}");
    let (twin, _) = tokio::join!(hub.twin(), answer_twin(&mut peer, 200, None, "[]x"));
    let error = twin.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    // Neither harms the connection.
    let (twin, _) = tokio::join!(hub.twin(), answer_twin(&mut peer, 200, None, "{}"));
    twin.unwrap();
}

#[tokio::test]
async fn hub_desired_changes_arrive_in_order() {
    let (hub, mut peer) = connected().await;
    let mut desired = hub.desired_properties();
    for version in [5, 6] {
        let topic = HubTopic::TwinDesired { version }.topic().unwrap();
        peer.publish(&topic, &json!({"x": version, "$version": version}).to_string()).await;
    }
    for version in [5, 6] {
        let Some(Desired::Changed { version: told, patch }) = desired.next().await else {
            panic!("a change expected");
        };
        assert_eq!((told, &patch["x"]), (version, &json!(version)));
    }
    hub.close().await.unwrap();
    assert_eq!(desired.next().await, None);
}

#[tokio::test]
async fn hub_desired_changes_not_read_are_counted() {
    let (hub, mut peer) = connected().await;
    let mut desired = hub.desired_properties();
    for version in 1..=100 {
        let topic = HubTopic::TwinDesired { version }.topic().unwrap();
        peer.publish(&topic, "{}").await;
    }
    // Everything before the answer to a later question has arrived.
    let (twin, _) = tokio::join!(hub.twin(), answer_twin(&mut peer, 200, None, "{}"));
    twin.unwrap();
    let Some(Desired::Missed(count)) = desired.next().await else { panic!("a gap expected") };
    let Some(Desired::Changed { version, .. }) = desired.next().await else { panic!("a change expected") };
    assert_eq!(version, count + 1, "the oldest are lost, the rest is whole");
}

#[tokio::test]
async fn hub_lost_connection_told_to_those_who_wait_and_those_who_come() {
    let (hub, mut peer) = connected().await;
    let serve = async {
        let publish = peer.read().await;
        drop(peer);
        publish
    };
    let (sent, publish) = tokio::join!(hub.send_telemetry("x", &[]), serve);
    assert!(matches!(publish, Some(Packet::Publish(_))));
    for error in [sent.unwrap_err(), hub.ended().await, hub.twin().await.unwrap_err()] {
        assert!(matches!(error, Error::Disconnected(_)), "{error}");
    }
    assert_eq!(hub.desired_properties().next().await, None);
    assert!(hub.close().await.is_err());
}

#[tokio::test]
async fn hub_dropped_client_leaves_in_good_order() {
    let (hub, mut peer) = connected().await;
    drop(hub);
    assert!(peer.left_in_good_order().await);
}

#[tokio::test]
async fn hub_hostile_packets_end_the_connection_alone() {
    for bytes in [&b"\x30\xff\xff\xff\x7f"[..], b"\x00\x00", b"\x30\x03\x00\x01a", b"\x20\x02\x00\x00"] {
        let (hub, mut peer) = connected().await;
        peer.raw(bytes).await;
        let error = hub.ended().await;
        assert!(matches!(error, Error::Disconnected(_)), "{error}");
    }
    let (hub, mut peer) = connected().await;
    peer.publish("$iothub/twin/PATCH/properties/desired/?$version=1", "[").await;
    assert!(hub.ended().await.to_string().contains("desired properties"), "{}", hub.ended().await);
}
