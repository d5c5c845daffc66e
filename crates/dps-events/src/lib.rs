//! One wide event per unit of work, and everything that is made of it: log row, metric points, attempt record.
//! Owns the records, their projections and the recorder; must not know who emits them.
//!
//! An event is opened at the top of a unit of work, filled on the way and recorded once, on every exit. The sites that
//! record are few and listed; `xtask tidy` holds the list.

mod alert_metrics;
pub mod attempt_log;
mod cause;
mod delivery_metrics;
mod log_metrics;
pub mod metrics;
mod poll_tally;
mod properties;
pub mod record;
pub mod recorder;
pub mod row;
mod trace;

pub use attempt_log::{AttemptLog, AttemptReader, Segments};
pub use cause::{Cause, Fact, Fix};
pub use delivery_metrics::DeliveryLabels;
pub use metrics::{LinkSample, LoadSample, Metrics};
pub use properties::Properties;
pub use record::{
    Allocation, AssignmentRecord, AttemptRecord, BulkItemRecord, Candidate, CertificateSummary,
    ConnectionRecord, Enrollment, Event, HandshakeRecord, HubAnswer, HubConnectionRecord, HubDeviceName,
    InjectedFault, LinkProbeRecord, ManagementCallRecord, Operation, Outcome, PollsRecord, Presented,
    SasSummary, Score, ServiceCallRecord, Step, WebhookCall, WebhookExchange,
};
pub use recorder::Recorder;
pub use row::{AddressMask, LogRow};
pub use trace::TracePlace;

/// Where closed events go. Recording never blocks and never fails; what cannot be kept is counted.
pub trait EventSink: Send + Sync + 'static {
    /// Takes a closed event.
    fn record(&self, event: Event);
}
