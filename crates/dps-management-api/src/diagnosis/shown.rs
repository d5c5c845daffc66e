//! `devices/{registrationId}/shown`: what a device showed when it was refused last, so that it can be enrolled, or
//! rehearsed again. Owns the JSON, in which no token ever stands; must not know how it is remembered.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::rehearsal::Shown;
use dps_events::Presented;
use dps_model::instance::Instance;
use dps_model::registration::TpmKeys;
use dps_model::{Error, ErrorCode, Protocol, Timestamp, TrackingId};
use serde_json::json;

use crate::answer::Answer;
use crate::service::ManagementApi;

/// What a device showed when it was refused last.
#[derive(Clone, Debug)]
pub struct LastShown {
    /// Of that answer.
    pub tracking_id: TrackingId,
    /// When it asked.
    pub time: Timestamp,
    /// How it spoke.
    pub protocol: Protocol,
    /// Where from.
    pub peer: SocketAddr,
    /// In which api-version.
    pub api_version: Option<String>,
    /// It.
    pub presented: Presented,
}

/// Who remembers it.
pub trait Remembering: Send + Sync + 'static {
    /// What the device showed.
    fn last(&self, instance: &str, registration_id: &str) -> Option<Arc<LastShown>>;
}

impl LastShown {
    /// As evidence of a rehearsal. Errors: it is not remembered whole.
    pub(super) fn evidence(&self) -> Result<Shown, Error> {
        let Presented { chain, left_out, endorsement_key, storage_root_key, sas_token } =
            self.presented.clone();
        if left_out > 0 {
            return Err(Error::argument(
                "The chain that the device showed was too large to be remembered; give it as evidence.certificateChain.",
            ));
        }
        // A TPM's token answers a challenge of then: it is challenged again.
        Ok(match (endorsement_key, sas_token) {
            (Some(endorsement_key), _) => Shown::Tpm(TpmKeys { endorsement_key, storage_root_key }),
            (None, Some(token)) => Shown::Token(token),
            (None, None) if chain.is_empty() => Shown::Nothing,
            (None, None) => Shown::Certificates(chain.to_vec()),
        })
    }
}

impl ManagementApi {
    /// What is remembered of a device. Errors: nothing is.
    pub(super) fn last_shown(
        &self,
        instance: &Instance,
        registration_id: &str,
    ) -> Result<Arc<LastShown>, Error> {
        let memory = self.diagnosis.shown.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::RouteNotFound, "This server does not remember what devices show.")
        })?;
        memory.last(&instance.name, registration_id).ok_or_else(|| {
            Error::with(
                ErrorCode::RegistrationNotFound,
                "What this device showed is not remembered: it was not refused since the server started, or long ago.",
            )
        })
    }

    /// Tells it.
    pub(super) fn show_last(&self, instance: &Instance, registration_id: &str) -> Result<Answer, Error> {
        let last = self.last_shown(instance, registration_id)?;
        let Presented { chain, left_out, endorsement_key, sas_token, .. } = &last.presented;
        Ok(Answer::shown(json!({
            "registrationId": registration_id,
            "trackingId": last.tracking_id,
            "time": last.time,
            "protocol": last.protocol.as_str(),
            "address": last.peer.ip(),
            "certificates": chain.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>(),
            "leftOut": left_out,
            "endorsementKey": endorsement_key,
            "sasToken": sas_token.is_some(),
        })))
    }
}
