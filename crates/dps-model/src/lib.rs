//! dps-model.
