//! How a hub was chosen.

use serde::Serialize;

/// How a hub was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// The policy that was asked: `hashed`, `geoLatency`, `static`, `custom`; or `kept` where none was, because the
    /// reprovision policy keeps the device where it is.
    pub policy: &'static str,
    /// The region that the device called from, where the policy asks for it and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What was known of the candidates; at most `limits::MAX_SCORES`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
}

/// A candidate hub, as allocation saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The hub.
    pub hub: String,
    /// Expected round trip from the device's region, in milliseconds, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
}
