//! dps-events.
