//! Identifiers, each a type of its own, checked when made. Must not know where they are stored.

use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;

/// Why a text is no identifier: what, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is invalid: {why}")]
pub struct InvalidId {
    what: &'static str,
    why: String,
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the text. Errors name the offending character and its position.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// As the client spelt it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The form under which it is stored and compared: lower case.
            pub fn key(&self) -> String {
                self.0.to_ascii_lowercase()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id! {
    /// The id a device registers under: case-insensitive, up to 128 of alphanumerics and `- . _ :`, the last one
    /// alphanumeric or `-` (Azure: "Registration ID").
    RegistrationId, registration_id
}
text_id! {
    /// Names an enrollment group; the rules of a registration id.
    EnrollmentGroupId, enrollment_group_id
}
text_id! {
    /// The id of a device on its hub; case-sensitive (IoT Hub: "Device identity properties").
    DeviceId, device_id
}
text_id! {
    /// Host name of an IoT hub, without a port; compared without regard to case.
    HubName, hub_name
}
text_id! {
    /// The opaque, immutable name of a provisioning service on the device API, e.g. `0ne00ABCDEF`.
    IdScope, id_scope
}
text_id! {
    /// Names one register request's operation: `<digit>.<16 hex>.<guid>`, opaque to clients.
    OperationId, operation_id
}

impl OperationId {
    /// A new operation of the registration whose 64-bit hash is `tag`.
    pub fn fresh(tag: u64) -> Self {
        Self(format!("5.{tag:016x}.{}", uuid::Uuid::new_v4()))
    }
}

impl IdScope {
    /// A new scope: `0ne` and eight hexadecimal characters.
    pub fn fresh() -> Self {
        let random = uuid::Uuid::new_v4().into_bytes();
        Self(format!("0ne{}", hex::encode_upper(&random[..4])))
    }
}

impl From<RegistrationId> for DeviceId {
    /// Every registration id is a legal device id; a device without another is named so.
    fn from(id: RegistrationId) -> Self {
        Self(id.0)
    }
}

/// One GUID for a unit of work: the `trackingId` of its error body and the `CorrelationId` of its log row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackingId(pub uuid::Uuid);

impl TrackingId {
    /// A new one.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl std::fmt::Display for TrackingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn registration_id(text: &str) -> Result<(), InvalidId> {
    registration_like("registrationId", text)
}

fn enrollment_group_id(text: &str) -> Result<(), InvalidId> {
    registration_like("enrollmentGroupId", text)
}

fn registration_like(what: &'static str, text: &str) -> Result<(), InvalidId> {
    bounded(what, text, limits::MAX_REGISTRATION_ID)?;
    every(what, text, "letters, digits and - . _ : are allowed", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':')
    })?;
    if !text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-') {
        return Err(InvalidId { what, why: "the last character must be a letter, a digit or -".into() });
    }
    Ok(())
}

fn device_id(text: &str) -> Result<(), InvalidId> {
    bounded("deviceId", text, limits::MAX_DEVICE_ID)?;
    // As a segment of a path they mean another place, however they are escaped (RFC 3986 section 5.2.4).
    if matches!(text, "." | "..") {
        return Err(InvalidId { what: "deviceId", why: format!("{text:?} is no name of its own in a path") });
    }
    every("deviceId", text, "letters, digits and - . % _ * ? ! ( ) , : = @ $ ' # + ; are allowed", |c| {
        c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'#+;".contains(c)
    })
}

fn hub_name(text: &str) -> Result<(), InvalidId> {
    bounded("IoT hub host name", text, limits::MAX_HOST_NAME)?;
    every("IoT hub host name", text, "letters, digits and - . : are allowed", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']')
    })
}

fn id_scope(text: &str) -> Result<(), InvalidId> {
    bounded("idScope", text, limits::MAX_ID_SCOPE)?;
    every("idScope", text, "letters, digits and - are allowed", |c| c.is_ascii_alphanumeric() || c == '-')
}

fn operation_id(text: &str) -> Result<(), InvalidId> {
    bounded("operationId", text, limits::MAX_OPERATION_ID)?;
    every("operationId", text, "letters, digits and - . are allowed", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
    })
}

fn bounded(what: &'static str, text: &str, most: usize) -> Result<(), InvalidId> {
    match text.chars().count() {
        0 => Err(InvalidId { what, why: "it is empty".into() }),
        n if n > most => {
            Err(InvalidId { what, why: format!("it has {n} characters, at most {most} are allowed") })
        }
        _ => Ok(()),
    }
}

fn every(what: &'static str, text: &str, rule: &str, legal: impl Fn(char) -> bool) -> Result<(), InvalidId> {
    match text.chars().enumerate().find(|(_, c)| !legal(*c)) {
        Some((at, c)) => {
            Err(InvalidId { what, why: format!("character {c:?} at position {}; {rule}", at + 1) })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceId, IdScope, OperationId, RegistrationId};

    #[test]
    fn registration_id_legal_texts_accepted() {
        for text in ["a", "sn-007-888-abc", "my.dev_01:a-b", "ends-with-", "ABC", &"x".repeat(128)] {
            assert!(RegistrationId::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn registration_id_illegal_text_names_position() {
        let why = RegistrationId::parse("abc@def").unwrap_err().to_string();
        assert!(why.contains("'@' at position 4"), "{why}");
        for text in ["", "ends.", "ends_", "ends:", "ümlaut", "a b", &"x".repeat(129)] {
            assert!(RegistrationId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_compare_by_key() {
        assert_eq!(RegistrationId::parse("AbC").unwrap().key(), "abc");
    }

    #[test]
    fn fresh_ids_are_legal() {
        let scope = IdScope::fresh();
        assert!(IdScope::parse(scope.as_str()).is_ok() && scope.as_str().len() == 11);
        let operation = OperationId::fresh(7);
        assert!(OperationId::parse(operation.as_str()).is_ok());
        assert_eq!(operation.as_str().len(), 2 + 16 + 1 + 36);
        assert!(DeviceId::parse("a@b").is_ok());
    }
}
