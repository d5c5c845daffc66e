//! dps-core.
