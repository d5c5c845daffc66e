//! A neighbour on the ports of devices, and AMQP connections that turn out to be its.

use std::sync::Arc;

use async_trait::async_trait;
use dps_device_api::Fronts;
use dps_device_api::foreign::{AmqpClaim, AmqpConnection, ForeignFront, MqttConnection};
use dps_wire::amqp::connection::Event;
use dps_wire::amqp::frame::ProtocolHeader;
use dps_wire::amqp::performative::{AmqpError, Open, Performative, Role, Sasl, SaslCode};
use dps_wire::amqp::sasl::Mechanism;
use rustls::version::TLS13;
use tokio::io::AsyncWriteExt;

use crate::amqp::{Amqp, address, attach};
use crate::fixture::{Server, connect};
use crate::pki::{Device, EC};

pub struct Hub;

#[async_trait]
impl ForeignFront for Hub {
    fn claims_mqtt(&self, username: &str) -> bool {
        username.starts_with("hub.example/")
    }

    async fn mqtt(&self, mut connection: MqttConnection) {
        let MqttConnection { ref channel, ref connect, ref buffered, .. } = connection;
        let answer = format!("{} {} {}", connect.client_id, channel.protocol.as_str(), buffered.len());
        connection.stream.write_all(answer.as_bytes()).await.unwrap();
        connection.stream.shutdown().await.unwrap();
    }

    fn claims_amqp(&self, claim: AmqpClaim<'_>) -> bool {
        match claim {
            AmqpClaim::Mechanism(mechanism) => mechanism == Mechanism::MsSbCbs,
            AmqpClaim::User(user) => user == "d@sas.hub",
            AmqpClaim::Address(address) => address == "$cbs",
        }
    }

    /// Tells in CLOSE what it was handed.
    async fn amqp(&self, connection: AmqpConnection) {
        let AmqpConnection { channel, mut line, hostname, event } = connection;
        let what = match event {
            Event::SaslInit(init) => {
                line.connection.sasl_outcome(SaslCode::Ok).unwrap();
                line.flush().await.unwrap();
                init.mechanism.to_string()
            }
            Event::Attach { attach, .. } => attach.address().unwrap().to_owned(),
            other => panic!("{other:?}"),
        };
        let said = format!("{what} {} {hostname:?}", channel.protocol.as_str());
        while !line.connection.is_open() {
            line.flush().await.unwrap();
            line.wait().await;
            if let Some(Event::Open(_)) = line.poll().unwrap() {
                let now_ms = line.now_ms();
                line.connection.accept_open(now_ms).unwrap();
            }
        }
        line.close(Some(AmqpError::new("test", said)));
        line.part().await;
    }
}

async fn shared() -> Server {
    Server::with(Fronts { devices: vec![Arc::new(Hub)], ..Fronts::default() }).await
}

fn open() -> Performative {
    Performative::Open(Box::new(Open { hostname: Some("Hub.example".into()), ..Open::new("c") }))
}

/// What the neighbour was handed.
async fn handed(amqp: &mut Amqp) -> String {
    loop {
        match amqp.next().await {
            Some(Performative::Close(error)) => {
                amqp.say(Performative::Close(None)).await;
                return error.unwrap().description.unwrap();
            }
            Some(_) => {}
            None => panic!("no CLOSE"),
        }
    }
}

#[tokio::test]
async fn connection_of_a_hub_handed_on_by_mechanism_user_or_address() {
    let server = shared().await;
    for (mechanism, response) in [("MSSBCBS", &b""[..]), ("PLAIN", b"\0d@sas.hub\0token")] {
        let (mut amqp, said) = Amqp::authenticate(&server, mechanism, response).await;
        assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
        amqp.header(ProtocolHeader::Amqp).await;
        amqp.say(open()).await;
        assert_eq!(handed(&mut amqp).await, format!("{mechanism} Amqp None"));
    }
    let certificate = server.ca.client(&TLS13, Some(&Device::new("d", EC)));
    for (config, mechanism) in
        [(server.plain(), None), (server.plain(), Some("ANONYMOUS")), (certificate, Some("EXTERNAL"))]
    {
        let mut amqp = match mechanism {
            None => Amqp::new(connect(server.amqp, config).await.unwrap()),
            Some(mechanism) => {
                let (amqp, said) = Amqp::authenticate_as(&server, config, mechanism, b"").await;
                assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
                amqp
            }
        };
        amqp.header(ProtocolHeader::Amqp).await;
        amqp.say(open()).await;
        amqp.begin().await;
        amqp.say(attach(Role::Sender, "$cbs")).await;
        assert_eq!(handed(&mut amqp).await, "$cbs Amqp Some(\"Hub.example\")");
    }
    assert!(server.stop().await.is_empty(), "what is a neighbour's is the neighbour's to tell");
}

#[tokio::test]
async fn nobody_on_a_shared_port_refused_at_attach() {
    let mut server = shared().await;
    for mechanism in [None, Some("ANONYMOUS")] {
        let mut amqp = match mechanism {
            None => Amqp::new(connect(server.amqp, server.plain()).await.unwrap()),
            Some(mechanism) => Amqp::authenticate(&server, mechanism, b"").await.0,
        };
        amqp.header(ProtocolHeader::Amqp).await;
        amqp.say(open()).await;
        amqp.begin().await;
        amqp.say(attach(Role::Receiver, &address("d"))).await;
        assert!(matches!(amqp.next().await, Some(Performative::Attach(attach)) if attach.source.is_none()));
        assert!(matches!(amqp.next().await, Some(Performative::Detach(_))));
        let (_, body) = amqp.closed().await;
        let record = server.connection_event().await;
        assert_eq!((&body["errorCode"], record.stage), (&401_000.into(), "connect"));
        assert_eq!(body["trackingId"], record.tracking_id.to_string());
    }
    let (_, said) = Amqp::authenticate(&server, "EXTERNAL", b"").await;
    assert_eq!(said, Sasl::Outcome(SaslCode::Auth));
    assert!(server.connection_event().await.reason.contains("no client certificate"));
    assert!(server.stop().await.is_empty());
}

#[tokio::test]
async fn nobody_who_stays_nobody_told_and_timed_out() {
    let mut server = shared().await;
    let mut amqp = Amqp::new(connect(server.amqp, server.plain()).await.unwrap());
    amqp.header(ProtocolHeader::Amqp).await;
    amqp.say(open()).await;
    amqp.begin().await;
    tokio::time::pause();
    let (_, body) = amqp.closed().await;
    let record = server.connection_event().await;
    assert_eq!((&body["errorCode"], record.stage), (&401_000.into(), "connect"));
    assert_eq!(body["trackingId"], record.tracking_id.to_string());
    assert!(record.reason.contains("who speaks"), "{}", record.reason);
}

#[tokio::test]
async fn device_of_dps_by_external_is_served_beside_a_hub() {
    let server = shared().await;
    let config = server.ca.client(&TLS13, Some(&Device::new("d", EC)));
    let (mut amqp, said) = Amqp::authenticate_as(&server, config, "EXTERNAL", b"").await;
    assert_eq!(said, Sasl::Outcome(SaslCode::Ok));
    amqp.header(ProtocolHeader::Amqp).await;
    amqp.say(open()).await;
    amqp.links("d").await;
    amqp.send(&crate::amqp::asks("iotdps-register")).await;
    assert_eq!(amqp.answered().await["status"], "assigning");
    assert_eq!(server.seen()[0].chain, 1);
    assert!(server.stop().await.is_empty());
}
