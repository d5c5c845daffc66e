//! What is known of a TLS handshake that failed.

use serde::Serialize;

use super::CertificateSummary;

/// As far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandshakeRecord {
    /// Server name asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// `TLSv1.3`, `TLSv1.2`: what the client's cipher suites are for. Empty when its hello was not read.
    pub offered: Vec<&'static str>,
    /// The certificate served, where it came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<CertificateSummary>,
    /// The alert that the client sent, as RFC 8446 names it: `unknown_ca`, `bad_certificate` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}
