//! What is said inside SASL frames: the mechanisms by name, PLAIN, and the exchange of DPS's own mechanism TPM.
//!
//! Must not know frames, nor whether an identity or a token is right.

mod tpm;

use thiserror::Error;

pub use self::tpm::{TpmError, TpmExchange, TpmKeys, TpmStep};
use super::limits::MAX_IDENTITY;
use super::value::{Secret, Symbol};

/// A mechanism that an Azure device endpoint may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// User name and SAS token (RFC 4616).
    Plain,
    /// The endorsement key's exchange of DPS.
    Tpm,
    /// The client certificate (RFC 4422 appendix A).
    External,
    /// Nobody yet (RFC 4505).
    Anonymous,
    /// Tokens follow on the link `$cbs`.
    MsSbCbs,
}

impl Mechanism {
    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Tpm => "TPM",
            Self::External => "EXTERNAL",
            Self::Anonymous => "ANONYMOUS",
            Self::MsSbCbs => "MSSBCBS",
        }
    }

    /// Its name as a symbol, to be offered.
    pub fn symbol(self) -> Symbol {
        Symbol::from_static(self.name())
    }

    /// The mechanism of this name; case counts.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Plain, Self::Tpm, Self::External, Self::Anonymous, Self::MsSbCbs];
        all.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// The one message of PLAIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// On whose behalf; empty from every SDK.
    pub authorization: String,
    /// The user: `{idScope}/registrations/{registrationId}` for DPS, `{device}@sas.{hub}` for a hub.
    pub user: String,
    /// The SAS token.
    pub password: Secret,
}

/// Why a PLAIN message is not one. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlainError {
    /// Two zero bytes divide three parts.
    #[error("the PLAIN response has not the form authorization NUL user NUL password")]
    Form,
    /// Identities are text of some length.
    #[error(
        "the PLAIN response names an identity that is empty, not UTF-8, or longer than {MAX_IDENTITY} bytes"
    )]
    Identity,
    /// A password is text.
    #[error("the PLAIN response has a password that is empty or not UTF-8")]
    Password,
}

impl Plain {
    /// Reads the initial response.
    pub fn parse(response: &Secret) -> Result<Self, PlainError> {
        let mut parts = response.expose().split(|byte| *byte == 0);
        let (Some(authorization), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PlainError::Form);
        };
        let text = |bytes| identity(bytes).ok_or(PlainError::Identity);
        let (authorization, user) = (text(authorization)?, text(user)?);
        if user.is_empty() {
            return Err(PlainError::Identity);
        }
        if password.is_empty() || std::str::from_utf8(password).is_err() {
            return Err(PlainError::Password);
        }
        Ok(Self { authorization, user, password: Secret::new(password.to_vec()) })
    }

    /// The message, for a client to send.
    pub fn response(&self) -> Secret {
        let parts = [self.authorization.as_bytes(), self.user.as_bytes(), self.password.expose()];
        Secret::new(parts.join(&0))
    }
}

/// Text of a bounded length.
fn identity(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= MAX_IDENTITY).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(response: &[u8]) -> Result<Plain, PlainError> {
        Plain::parse(&Secret::new(response.to_vec()))
    }

    #[test]
    fn plain_response_is_read_and_written() {
        let bytes = b"\x000ne1/registrations/d1\0SharedAccessSignature sr=x";
        let plain = parse(bytes).expect("PLAIN");
        assert_eq!((&*plain.authorization, &*plain.user), ("", "0ne1/registrations/d1"));
        assert_eq!(plain.response().expose(), bytes);
        assert!(!format!("{plain:?}").contains("SharedAccess"));
    }

    #[test]
    fn plain_response_of_another_form_is_refused() {
        let long = [b"\0", "u".repeat(MAX_IDENTITY + 1).as_bytes(), b"\0p"].concat();
        for (bytes, error) in [
            (&b""[..], PlainError::Form),
            (b"\0user", PlainError::Form),
            (b"\0user\0a\0b", PlainError::Form),
            (b"\0\0token", PlainError::Identity),
            (b"\0\xff\0token", PlainError::Identity),
            (&long, PlainError::Identity),
            (b"\0user\0", PlainError::Password),
            (b"\0user\0\xff", PlainError::Password),
        ] {
            assert_eq!(parse(bytes), Err(error));
        }
    }

    #[test]
    fn mechanism_is_known_by_its_name_alone() {
        assert_eq!(Mechanism::parse("TPM"), Some(Mechanism::Tpm));
        assert_eq!(Mechanism::parse("MSSBCBS"), Some(Mechanism::MsSbCbs));
        assert_eq!(Mechanism::parse("plain"), None);
    }
}
