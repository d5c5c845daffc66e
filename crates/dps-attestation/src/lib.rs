//! dps-attestation.
