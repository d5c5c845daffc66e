//! dps-wire.
