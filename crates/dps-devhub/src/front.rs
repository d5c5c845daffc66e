//! What of the shared ports is a hub's: user names, mechanisms and addresses. Must not know what is said then.

use async_trait::async_trait;
use dps_device_api::foreign::{AmqpClaim, AmqpConnection, ForeignFront, MqttConnection};
use dps_wire::amqp::address::HubAddress;
use dps_wire::amqp::sasl::Mechanism;

use crate::DevHubs;

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
