//! dps-device-api.
