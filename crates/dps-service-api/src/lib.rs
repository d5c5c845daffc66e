//! dps-service-api.
