//! One wide event per unit of work, and everything that is made of it: log row, metric points, trace line, attempt
//! record. Owns the records and their projections; must not know who emits them or where they are kept.
//!
//! An event is opened at the top of a unit of work, filled on the way and recorded once, on every exit. The sites that
//! record are listed in docs/reference/events.md and held by `xtask tidy`.

pub mod record;

pub use record::{
    AssignmentRecord, AttemptRecord, Candidate, CertificateSummary, ConnectionRecord, Enrollment, Event,
    Operation, Outcome, SasSummary, ServiceCallRecord, Step,
};

/// Where closed events go. Recording never blocks and never fails; what cannot be kept is counted.
pub trait EventSink: Send + Sync + 'static {
    /// Takes a closed event.
    fn record(&self, event: Event);
}
