//! dps-devhub.
