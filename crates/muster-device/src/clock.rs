//! Wall time, for the expiry of tokens. The one room of this crate that reads it; waiting is the runtime's and goes by
//! its own monotonic time. An application whose machine has no clock of its own brings another.

use dps_model::Timestamp;

/// Where wall time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the clock
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now())
    }
}
