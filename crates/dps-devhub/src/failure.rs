//! The hub's own failures, as IoT Hub names and numbers them (facts: wire-protocol.md §8.2). Owns the table and the
//! body; must not know which request failed.

use dps_core::ports::StoreError;
use dps_model::{Timestamp, TrackingId};

macro_rules! codes {
    ($($name:ident = $number:literal;)*) => {
        /// IoT Hub's `ErrorCode`; the number by a thousand is the HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum HubErrorCode {
            $(#[doc = concat!(stringify!($name), ", ", stringify!($number), ".")] $name,)*
        }

        impl HubErrorCode {
            /// The name, as the header `iothub-errorcode` has it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The six-digit number.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }
        }
    };
}

codes! {
    ArgumentInvalid = 400_004;
    IotHubUnauthorizedAccess = 401_002;
    DeviceNotFound = 404_001;
    RouteNotFound = 404_000;
    DeviceNotOnline = 404_103;
    MethodNotAllowed = 405_000;
    DeviceAlreadyExists = 409_001;
    PreconditionFailed = 412_001;
    MessageTooLarge = 413_001;
    ThrottlingException = 429_001;
    ServerError = 500_001;
    GatewayTimeout = 504_101;
}

impl HubErrorCode {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        #[allow(clippy::cast_possible_truncation)] // the numbers have six digits: the quotient has three
        let status = (self.number() / 1000) as u16;
        status
    }
}

/// Why the hub did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ErrorCode:{};{message}", code.name())]
pub struct HubFailure {
    /// Its row.
    pub code: HubErrorCode,
    /// What the client reads. Holds no secret.
    pub message: String,
}

impl HubFailure {
    /// A failure with its words.
    pub fn new(code: HubErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A part of the request breaks a rule.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(HubErrorCode::ArgumentInvalid, message)
    }

    /// The device does not exist.
    pub fn no_device(id: &str) -> Self {
        Self::new(HubErrorCode::DeviceNotFound, format!("Device {{DeviceId: {id}}} is not registered"))
    }

    /// The caller's token does not open this hub. Says no more than Azure does.
    pub fn unauthorized() -> Self {
        Self::new(HubErrorCode::IotHubUnauthorizedAccess, "Unauthorized")
    }

    /// The version named is not the current one.
    pub fn precondition() -> Self {
        Self::new(HubErrorCode::PreconditionFailed, "Precondition failed: the etag is not the current one")
    }

    /// The body of the answer.
    pub fn body(&self, tracking_id: TrackingId, now: Timestamp) -> String {
        let time = now.0.strftime("%m/%d/%Y %H:%M:%S");
        serde_json::json!({
            "Message": self.to_string(),
            "ExceptionMessage": format!("Tracking ID:{tracking_id}-TimeStamp:{time}"),
        })
        .to_string()
    }
}

impl From<StoreError> for HubFailure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => {
                Self::new(HubErrorCode::ThrottlingException, "The hub is busy. Try again in a few seconds.")
            }
            StoreError::Refused { .. } | StoreError::Failed(_) => {
                tracing::error!(%error, "the development hub's store failed");
                Self::new(HubErrorCode::ServerError, "The hub met a failure of its own")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dps_model::{Timestamp, TrackingId};

    use super::{HubErrorCode, HubFailure};

    #[test]
    fn body_has_the_shape_that_service_clients_split() {
        let failure = HubFailure::new(HubErrorCode::DeviceAlreadyExists, "Conflict");
        let id = TrackingId::fresh();
        let body = failure.body(id, Timestamp::from_millis(1_468_629_761_000));
        assert_eq!(
            body,
            format!(
                r#"{{"ExceptionMessage":"Tracking ID:{id}-TimeStamp:07/16/2016 00:42:41","Message":"ErrorCode:DeviceAlreadyExists;Conflict"}}"#
            )
        );
        assert_eq!(failure.code.status(), 409);
    }
}
