//! A hub that is linked is asked whether the link works, before it is kept.

use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken};
use dps_model::DeviceId;
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};
use serde_json::{Value, json};

use crate::bed::{Bed, ask, least, service};

/// Hubs that open for the key 1, 2, 3; one of them is not there.
struct Site;

#[async_trait]
impl Hubs for Site {
    async fn put_device(
        &self,
        _: &LinkedHub,
        _: &HubDevice,
        _: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        panic!("a link writes no device")
    }

    async fn twin(&self, _: &LinkedHub, _: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        panic!("a link reads no twin")
    }

    async fn delete_device(&self, _: &LinkedHub, _: &DeviceId) -> Result<(), HubError> {
        panic!("a link removes no device")
    }

    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        match hub.connection.key.expose() {
            _ if hub.name.as_str() == "absent.example" => Err(HubError::Unreachable("TCP: refused".into())),
            _ if hub.name.as_str() == "silent.example" => std::future::pending().await,
            [1, 2, 3] => Ok(()),
            _ => Err(HubError::Unauthorized("ErrorCode:IotHubUnauthorizedAccess".into())),
        }
    }
}

fn link(hub: &str, key: &str) -> Value {
    json!({"connectionString": format!("HostName={hub};SharedAccessKeyName=owner;SharedAccessKey={key}")})
}

fn with_links(links: &[Value]) -> Value {
    let mut body = least();
    body["properties"]["iotHubs"] = json!(links);
    body
}

#[tokio::test]
async fn link_whose_hub_refuses_the_key_is_not_made() {
    let bed = Bed::new().await.with_hubs(Arc::new(Site));
    let good = link("a.example", "AQID");
    let refused = async |links: &[Value], place: usize| {
        let reply = bed.call(ask("PUT", &service("second")).json(&with_links(links))).await;
        let (status, code, message) = reply.refusal();
        assert_eq!((status, code.as_str()), (400, "BadRequest"));
        let path = format!("properties.iotHubs[{place}].connectionString");
        assert!(message.starts_with(&format!("{path} does not open")), "{message}");
        assert_eq!(reply.json()["error"]["target"], path);
        let event = serde_json::to_string(&bed.events().pop().unwrap()).unwrap();
        assert!(event.contains("HUB_LINK_UNAUTHORIZED") && !event.contains("BAUG"), "{event}");
    };
    refused(&[link("a.example", "BAUG")], 0).await;
    assert!(bed.instances.by_name("second").is_none(), "nothing was made");
    bed.put("second", with_links(std::slice::from_ref(&good))).await;
    refused(&[good.clone(), link("b.example", "BAUG")], 1).await;
    assert_eq!(bed.instances.by_name("second").unwrap().linked_hubs.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn hub_that_does_not_answer_may_be_linked() {
    let bed = Bed::new().await.with_hubs(Arc::new(Site));
    let links = ["absent.example", "silent.example"].map(|hub| link(hub, "BAUG"));
    let shown = bed.put("second", with_links(&links)).await;
    assert_eq!(shown["properties"]["iotHubs"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn link_that_stays_is_not_asked_again() {
    let bed = Bed::new().await;
    let shown = bed.put("second", with_links(&[link("a.example", "BAUG")])).await;
    // Its key was rolled since: that is for the probes to tell, and no reason to refuse another change.
    let bed = bed.with_hubs(Arc::new(Site));
    let mut echo = shown.clone();
    echo["properties"]["iotHubs"][0]["allocationWeight"] = json!(7);
    assert_eq!(bed.put("second", echo).await["properties"]["iotHubs"][0]["allocationWeight"], 7);
}
