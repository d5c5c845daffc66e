//! What a device asks and what it is told, without a word of any protocol.
//! Every front decodes into `DeviceRequest` and encodes from `DeviceResponse`.

use std::sync::Arc;

use dps_attestation::tpm::{Challenge, KEY_NAME};
use dps_model::registration::{DeviceRegistration, DeviceRegistrationResult, RegistrationOperationStatus};
use dps_model::{Channel, OperationId, Secret, TrackingId};

/// One request of a device. Texts are as the client wrote them, percent-decoded; the core checks them.
pub struct DeviceRequest {
    /// `trackingId` of an error body, `CorrelationId` of the log row.
    pub tracking_id: TrackingId,
    /// The connection it came over; holds the presented chain.
    pub channel: Arc<Channel>,
    /// Names the instance.
    pub id_scope: String,
    /// Names the device.
    pub registration_id: String,
    /// Absent is an error; a front whose protocol allows absence fills in the default.
    pub api_version: Option<String>,
    /// SDK and version.
    pub client: Option<String>,
    /// The SAS token's whole text, when there is one.
    pub sas_token: Option<Secret>,
    /// What is asked.
    pub operation: DeviceOperation,
}

/// What a device asks for.
pub enum DeviceOperation {
    /// Prove who it is and get a hub.
    Register(DeviceRegistration),
    /// Where does an operation stand?
    OperationStatus {
        /// As the client wrote it.
        operation_id: String,
    },
    /// Where does the registration stand?
    RegistrationLookup(DeviceRegistration),
}

/// What a device is told.
#[derive(Debug)]
pub enum DeviceResponse {
    /// The operation is durable; ask again after so many seconds.
    Admitted {
        /// What to ask for.
        operation_id: OperationId,
        /// Seconds.
        retry_after: u32,
    },
    /// Where the operation stands. `retry_after` is set exactly while it runs. Also the answer to a register request
    /// under a disabled enrollment (with an empty operation id).
    Status {
        /// The whole answer.
        status: Box<RegistrationOperationStatus>,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// Where the registration stands.
    Registration(Box<DeviceRegistrationResult>),
    /// Answer this first: unwrap the key in the TPM, sign a token with it and ask again.
    Challenge {
        /// The wrapped key, base64.
        authentication_key: String,
        /// What the token names as its policy.
        key_name: &'static str,
    },
}

impl DeviceResponse {
    /// The answer that carries a challenge.
    pub fn challenge(challenge: &Challenge) -> Self {
        Self::Challenge { authentication_key: challenge.blob.to_base64(), key_name: KEY_NAME }
    }
}
