//! CA certificates uploaded to a provisioning service, and whether possession of their keys is proven (Azure:
//! "Proof of possession for X.509 CA certificates"). Owns the shape; must not know how a proof is checked.

use serde::{Deserialize, Serialize};

use crate::attestation::Certificate;
use crate::{Etag, Timestamp};

/// One uploaded CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificate {
    /// Its name, by which enrollment groups refer to it; compared without regard to case.
    pub name: String,
    /// The certificate.
    pub certificate: Certificate,
    /// Texts under which a presented chain that it may have signed finds it.
    #[serde(default)]
    pub lookups: Vec<String>,
    /// Only a verified one lets devices in.
    pub is_verified: bool,
    /// The code whose certificate proves possession, once asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_code: Option<String>,
    /// Version.
    pub etag: Etag,
    /// When it was uploaded.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl CaCertificate {
    /// Is this the one of that name?
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}
