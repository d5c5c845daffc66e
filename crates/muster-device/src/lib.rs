//! muster-device.
