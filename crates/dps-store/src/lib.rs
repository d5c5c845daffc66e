//! dps-store.
