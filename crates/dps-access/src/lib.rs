//! dps-access.
