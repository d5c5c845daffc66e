//! Connection strings of services and hubs: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.
//! Owns reading and writing them; must not know what they open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Secret;

/// A shared access policy's address and key.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// Host, with `:port` when it is not 443.
    pub host: String,
    /// `SharedAccessKeyName`.
    pub policy: String,
    /// `SharedAccessKey`, decoded.
    pub key: Secret,
}

/// Why a text is no connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A part has no `=`.
    #[error(
        "part {0} of the connection string has no '='; write HostName=…;SharedAccessKeyName=…;SharedAccessKey=…"
    )]
    NoEquals(usize),
    /// A part is missing.
    #[error("the connection string lacks {0}; write HostName=…;SharedAccessKeyName=…;SharedAccessKey=…")]
    Missing(&'static str),
    /// The key is not base64.
    #[error("SharedAccessKey is not base64; copy it again from the shared access policy")]
    KeyNotBase64,
}

impl ConnectionString {
    /// Reads a connection string; the parts' names are compared without regard to case.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let (mut host, mut policy, mut key) = (None, None, None);
        for (index, part) in text.trim().split(';').filter(|part| !part.trim().is_empty()).enumerate() {
            let (name, value) = part.split_once('=').ok_or(ConnectionStringError::NoEquals(index + 1))?;
            match name.trim().to_ascii_lowercase().as_str() {
                "hostname" => host = Some(value.trim().to_owned()),
                "sharedaccesskeyname" => policy = Some(value.trim().to_owned()),
                "sharedaccesskey" => key = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let key = key.ok_or(ConnectionStringError::Missing("SharedAccessKey"))?;
        Ok(Self {
            host: host.filter(|h| !h.is_empty()).ok_or(ConnectionStringError::Missing("HostName"))?,
            policy: policy.ok_or(ConnectionStringError::Missing("SharedAccessKeyName"))?,
            key: Secret::new(STANDARD.decode(key).map_err(|_| ConnectionStringError::KeyNotBase64)?),
        })
    }

    /// The whole text, key included. Each call is a place to look at in a review.
    pub fn expose(&self) -> String {
        format!(
            "HostName={};SharedAccessKeyName={};SharedAccessKey={}",
            self.host,
            self.policy,
            STANDARD.encode(self.key.expose())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionString, ConnectionStringError};

    #[test]
    fn connection_string_written_reads_back() {
        let text = "HostName=localhost:8443;SharedAccessKeyName=owner;SharedAccessKey=YWJjZA==";
        let read = ConnectionString::parse(text).unwrap();
        assert_eq!((read.host.as_str(), read.policy.as_str()), ("localhost:8443", "owner"));
        assert_eq!(read.expose(), text);
    }

    #[test]
    fn connection_string_broken_names_the_part() {
        let read = |text| ConnectionString::parse(text).err();
        assert_eq!(read("HostName=a;oops"), Some(ConnectionStringError::NoEquals(2)));
        assert_eq!(
            read("HostName=a;SharedAccessKeyName=b"),
            Some(ConnectionStringError::Missing("SharedAccessKey"))
        );
        assert_eq!(
            read("HostName=a;SharedAccessKeyName=b;SharedAccessKey=?"),
            Some(ConnectionStringError::KeyNotBase64)
        );
    }
}
