//! Whose a session is, and what is kept to judge it anew. Must not know how long it lasts.

use dps_model::Secret;
use dps_model::instance::Instance;

use crate::bearer::Claims;

/// Whose a session is. Shows no part of a credential.
pub enum Owner {
    /// Whoever showed a key of a shared access policy.
    Policy {
        /// Key of the rows of its provisioning service.
        rows: String,
        /// The policy, as the service spells it.
        name: String,
        /// The key that was shown.
        key: Secret,
    },
    /// Whoever showed the server's own token.
    ManagementToken,
    /// Whoever showed a bearer token, which is judged again with every call.
    Token {
        /// Whom it is about.
        subject: String,
        /// `iss`.
        issuer: String,
        /// The token.
        text: Secret,
    },
    /// Somebody whom an identity provider signed in.
    Person {
        /// As pages greet them.
        name: String,
        /// Whom the claims are about.
        subject: String,
        /// `iss`.
        issuer: String,
        /// What the provider said of them.
        claims: Claims,
    },
}

impl Owner {
    /// Policy, person, or what stands for one.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy { name, .. } | Self::Person { name, .. } => name,
            Self::ManagementToken => "management-token",
            Self::Token { subject, .. } => subject,
        }
    }

    /// How they signed in: `policy`, `token` or `oidc`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Policy { .. } => "policy",
            Self::ManagementToken | Self::Token { .. } => "token",
            Self::Person { .. } => "oidc",
        }
    }

    /// Could its policy be one of that provisioning service? True of everybody else.
    pub fn may_be_of(&self, instance: &Instance) -> bool {
        match self {
            Self::Policy { rows, .. } => rows == instance.rows(),
            _ => true,
        }
    }

    /// Is it the same one, signed in twice?
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Policy { rows, name, .. }, Self::Policy { rows: of, name: called, .. }) => {
                rows == of && name == called
            }
            (Self::ManagementToken, Self::ManagementToken) => true,
            (
                Self::Token { subject, issuer, .. } | Self::Person { subject, issuer, .. },
                Self::Token { subject: about, issuer: by, .. }
                | Self::Person { subject: about, issuer: by, .. },
            ) => subject == about && issuer == by,
            _ => false,
        }
    }
}
