//! Stand before linked hubs and webhooks, and let rules strike the calls to them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::{HubError, Hubs, TwinTaken, Webhook, WebhookAnswer, WebhookError};
use dps_model::hub::{HubDevice, HubTwin, LinkedHub};
use dps_model::{DeviceId, Secret};
use dps_monitor::WebhookPost;
use serde::Deserialize;

use super::Faults;
use super::book::{Occasion, Strike};
use super::rule::{Fault, Point};

/// Hubs that may be struck.
pub struct FaultyHubs {
    /// The hubs.
    pub then: Arc<dyn Hubs>,
    /// What strikes.
    pub faults: Faults,
}

impl FaultyHubs {
    async fn call(&self, hub: &LinkedHub, device: Option<&DeviceId>) -> Result<(), HubError> {
        let device = device.map(DeviceId::as_str);
        let hub = Some(hub.name.as_str());
        let occasion = Occasion { point: Point::HubWrite, device, hub, protocol: None, id_scope: None };
        let Some(strike) = self.faults.book.strike(&occasion) else { return Ok(()) };
        let text = strike.reason();
        if let Some(device) = device {
            self.faults.marks.operation(device, strike.mark);
        }
        match strike.fault {
            Fault::Delay { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Ok(())
            }
            Fault::Throttle { retry_after } => Err(HubError::Throttled { text, retry_after }),
            _ => Err(HubError::Unreachable(text)),
        }
    }
}

#[async_trait]
impl Hubs for FaultyHubs {
    async fn put_device(
        &self,
        hub: &LinkedHub,
        device: &HubDevice,
        twin: Option<&HubTwin>,
    ) -> Result<TwinTaken, HubError> {
        self.call(hub, Some(&device.device_id)).await?;
        self.then.put_device(hub, device, twin).await
    }

    async fn twin(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<Option<HubTwin>, HubError> {
        self.call(hub, Some(device_id)).await?;
        self.then.twin(hub, device_id).await
    }

    async fn delete_device(&self, hub: &LinkedHub, device_id: &DeviceId) -> Result<(), HubError> {
        self.call(hub, Some(device_id)).await?;
        self.then.delete_device(hub, device_id).await
    }

    async fn probe(&self, hub: &LinkedHub) -> Result<(), HubError> {
        self.call(hub, None).await?;
        self.then.probe(hub).await
    }
}

/// Webhooks of custom allocation that may be struck.
pub struct FaultyWebhook {
    /// Who asks them.
    pub then: Arc<dyn Webhook>,
    /// What strikes.
    pub faults: Faults,
}

/// What is read of the question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    device_runtime_context: DeviceRuntimeContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceRuntimeContext {
    registration_id: String,
}

#[async_trait]
impl Webhook for FaultyWebhook {
    async fn ask(&self, url: &Secret, body: &str) -> Result<WebhookAnswer, WebhookError> {
        let question: Option<Question> = serde_json::from_str(body).ok();
        let device = question.map(|question| question.device_runtime_context.registration_id);
        let Some(strike) = strike(&self.faults, device.as_deref()) else {
            return self.then.ask(url, body).await;
        };
        let reason = strike.reason();
        if let Some(device) = device {
            self.faults.marks.operation(&device, strike.mark);
        }
        match strike.fault {
            Fault::Delay { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                self.then.ask(url, body).await
            }
            Fault::Throttle { retry_after } => Err(WebhookError::Busy { status: 429, retry_after }),
            Fault::Error { status, retry_after } => Err(WebhookError::Busy { status, retry_after }),
            _ => Err(WebhookError::Unreachable(reason)),
        }
    }
}

/// Webhooks of action groups that may be struck.
pub struct FaultyNotifications {
    /// Who posts to them.
    pub then: Arc<dyn WebhookPost>,
    /// What strikes.
    pub faults: Faults,
}

#[async_trait]
impl WebhookPost for FaultyNotifications {
    async fn post(&self, uri: &Secret, body: Vec<u8>) -> Result<u16, String> {
        let Some(strike) = strike(&self.faults, None) else { return self.then.post(uri, body).await };
        match strike.fault {
            Fault::Delay { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                self.then.post(uri, body).await
            }
            Fault::Throttle { .. } => Ok(429),
            Fault::Error { status, .. } => Ok(status),
            _ => Err(strike.reason()),
        }
    }
}

fn strike(faults: &Faults, device: Option<&str>) -> Option<Strike> {
    let occasion = Occasion { point: Point::Webhook, device, protocol: None, id_scope: None, hub: None };
    faults.book.strike(&occasion)
}
