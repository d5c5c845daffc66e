//! Who calls, once it is proven. Owns what audit events keep of it: names and ids, no part of a credential.

use std::fmt::Write as _;

use dps_attestation::Slot;

use crate::role::Role;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever has a key of a shared access policy.
    Policy {
        /// The policy, as the instance spells it.
        name: String,
        /// Which of its keys signed.
        slot: Slot,
    },
    /// Somebody whom an identity provider vouches for.
    Principal(Principal),
    /// Whoever has the server's own management token, which may do everything.
    ManagementToken,
    /// One of them, signed in to the portal.
    Session(Box<Caller>),
}

/// Somebody whom an identity provider vouches for. Texts of the token are cut to a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `sub`, or what stands for it.
    pub subject: String,
    /// `iss`.
    pub issuer: String,
    /// The role that allows the call.
    pub role: Role,
    /// `jti` or `uti`.
    pub token_id: Option<String>,
    /// `kid`.
    pub key_id: Option<String>,
}

impl Caller {
    /// Policy, subject, or what stands for one.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy { name, .. } => name,
            Self::Principal(principal) => &principal.subject,
            Self::ManagementToken => "management-token",
            Self::Session(caller) => caller.name(),
        }
    }

    /// The kind of credential.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Policy { .. } => "SharedAccessSignature",
            Self::Principal(_) => "Bearer",
            Self::ManagementToken => "ManagementToken",
            Self::Session(_) => "PortalSession",
        }
    }

    /// Which credential: the slot of the key; issuer, role and, where the token has them, its id and its key's.
    pub fn credential(&self) -> Option<String> {
        match self {
            Self::Policy { slot, .. } => Some(slot.as_str().to_owned()),
            Self::Principal(Principal { issuer, role, token_id, key_id, .. }) => {
                let mut text = format!("iss={issuer} role={}", role.name());
                for (name, id) in [("jti", token_id), ("kid", key_id)] {
                    if let Some(id) = id {
                        let _ = write!(text, " {name}={id}");
                    }
                }
                Some(text)
            }
            Self::ManagementToken => None,
            Self::Session(caller) => {
                let kind = caller.kind();
                Some(caller.credential().map_or_else(|| kind.to_owned(), |of| format!("{kind} {of}")))
            }
        }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
