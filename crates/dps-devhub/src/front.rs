//! What of the shared ports is a hub's: user names, mechanisms and addresses. Must not know what is said then.

use async_trait::async_trait;
use dps_device_api::foreign::{AmqpClaim, AmqpConnection, ForeignFront, MqttConnection};
use dps_wire::amqp::address::HubAddress;
use dps_wire::amqp::connection::Event;
use dps_wire::amqp::sasl::{Mechanism, Plain};

use crate::DevHubs;

/// The device that an AMQP connection is of, where what told whose it is names one: SASL PLAIN, or the first link.
pub fn device_of(connection: &AmqpConnection) -> Option<String> {
    match &connection.event {
        Event::SaslInit(init) => {
            let plain = Plain::parse(init.initial_response.as_ref()?).ok()?;
            plain.user.rsplit_once("@sas.").map(|(device_id, _)| device_id.to_owned())
        }
        Event::Attach { attach, .. } => match HubAddress::parse(attach.address()?).ok()? {
            HubAddress::Device { device_id, .. } => Some(device_id),
            HubAddress::Cbs | HubAddress::CloudToDevice => None,
        },
        _ => None,
    }
}

#[async_trait]
impl ForeignFront for DevHubs {
    fn claims_mqtt(&self, username: &str) -> bool {
        username.split_once('/').is_some_and(|(host, _)| self.hub(host).is_some())
    }

    async fn mqtt(&self, connection: MqttConnection) {
        self.serve_mqtt(connection).await;
    }

    fn claims_amqp(&self, claim: AmqpClaim<'_>) -> bool {
        match claim {
            AmqpClaim::Mechanism(mechanism) => mechanism == Mechanism::MsSbCbs,
            AmqpClaim::User(user) => self.user(user).is_some(),
            AmqpClaim::Address(address) => HubAddress::parse(address).is_ok(),
        }
    }

    async fn amqp(&self, connection: AmqpConnection) {
        self.serve_amqp(connection).await;
    }
}
