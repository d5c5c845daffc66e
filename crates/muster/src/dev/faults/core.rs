//! Stands before the core that devices ask, and lets rules strike their requests. Each protocol then tells a refusal as it
//! tells the core's. Owns the event of a request that does not reach the core.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_core::ports::Clock;
use dps_core::{DeviceOperation, DeviceRequest, DeviceResponse, Instances};
use dps_device_api::Core;
use dps_events::{AttemptRecord, Event, EventSink, Operation, Outcome};
use dps_model::{Error, ErrorCode, limits};

use super::Faults;
use super::book::{Occasion, Strike};
use super::rule::{Fault, Lost, Point};
use super::wires::Fate;

/// A core whose requests may be struck.
pub struct FaultyCore {
    /// Who answers when all is well.
    pub then: Arc<dyn Core>,
    /// What strikes.
    pub faults: Faults,
    /// Which instance an id scope is of, for events.
    pub instances: Arc<Instances>,
    /// Where events go.
    pub sink: Arc<dyn EventSink>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Core for FaultyCore {
    async fn serve(&self, request: DeviceRequest) -> Result<DeviceResponse, Error> {
        let Some(strike) = self.faults.book.strike(&occasion(&request)) else {
            return self.then.serve(request).await;
        };
        match strike.fault {
            Fault::Delay { milliseconds } => {
                self.faults.marks.attempt(request.tracking_id, strike.mark);
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                self.then.serve(request).await
            }
            Fault::Throttle { retry_after } => {
                let error = Error::new(ErrorCode::Throttled);
                Err(self.refuse(&request, &strike, waiting(error, retry_after)))
            }
            Fault::Error { status, retry_after } => {
                Err(self.refuse(&request, &strike, waiting(Error::new(code(status)), retry_after)))
            }
            Fault::Drop { lost, .. } => self.lose(request, &strike, lost, Fate::Dumb).await,
            Fault::Disconnect { lost, .. } => self.lose(request, &strike, lost, Fate::Cut).await,
            // No request of a device is their occasion.
            Fault::HubDown {} | Fault::WebhookDown {} => self.then.serve(request).await,
        }
    }

    fn knows_scope(&self, id_scope: &str) -> bool {
        self.then.knows_scope(id_scope)
    }
}

impl FaultyCore {
    /// What is answered after the connection was given its fate is not heard.
    async fn lose(
        &self,
        request: DeviceRequest,
        strike: &Strike,
        lost: Lost,
        fate: Fate,
    ) -> Result<DeviceResponse, Error> {
        let channel = Arc::clone(&request.channel);
        match lost {
            Lost::Request => {
                self.faults.wires.set(&channel, fate);
                self.record(&request, strike, Outcome::Abandoned);
                Err(Error::new(ErrorCode::Unavailable).because(strike.reason()))
            }
            Lost::Answer => {
                self.faults.marks.attempt(request.tracking_id, strike.mark.clone());
                let answer = self.then.serve(request).await;
                self.faults.wires.set(&channel, fate);
                answer
            }
        }
    }

    fn refuse(&self, request: &DeviceRequest, strike: &Strike, error: Error) -> Error {
        let error = error.because(strike.reason());
        self.record(request, strike, Outcome::failed(&error));
        error
    }

    fn record(&self, request: &DeviceRequest, strike: &Strike, outcome: Outcome) {
        let now = self.clock.now();
        let operation = match &request.operation {
            DeviceOperation::Register(_) => Operation::Register,
            DeviceOperation::OperationStatus { .. } => Operation::OperationStatus,
            DeviceOperation::RegistrationLookup(_) => Operation::RegistrationLookup,
        };
        let mut record = AttemptRecord::open(request.tracking_id, now, &request.channel, operation);
        record.instance = self.instances.by_scope(&request.id_scope).map(|instance| instance.name.clone());
        record.id_scope = bounded(&request.id_scope);
        record.registration_id = bounded(&request.registration_id);
        record.api_version = request.api_version.as_deref().map(bounded);
        record.client = request.client.as_deref().map(bounded);
        record.fault = Some(strike.mark.clone());
        record.outcome = outcome;
        self.sink.record(Event::Attempt(Box::new(record)));
    }
}

fn occasion(request: &DeviceRequest) -> Occasion<'_> {
    Occasion {
        point: match &request.operation {
            DeviceOperation::Register(_) => Point::Register,
            DeviceOperation::OperationStatus { .. } => Point::OperationStatus,
            DeviceOperation::RegistrationLookup(_) => Point::RegistrationLookup,
        },
        device: Some(&request.registration_id),
        protocol: Some(request.channel.protocol),
        id_scope: Some(&request.id_scope),
        hub: None,
    }
}

fn waiting(error: Error, retry_after: Option<u32>) -> Error {
    match retry_after {
        Some(seconds) => error.retry_after(seconds),
        None => error,
    }
}

/// The row of the catalogue with that status.
fn code(status: u16) -> ErrorCode {
    match status {
        503 => ErrorCode::Unavailable,
        504 => ErrorCode::QueryTooSlow,
        _ => ErrorCode::Internal,
    }
}

/// As much of a client's text as events keep.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(limits::MAX_EVENT_TEXT)].to_owned()
}
