//! dps-hub.
