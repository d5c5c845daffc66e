//! A TPM's words for a person: what is enrolled of it, and under which id. Must not know the chip's commands.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_device::{Error, SecurityProviderTpm as _, Tpm2, default_registration_id};
use serde::Serialize;

/// What an enrollment says of a TPM.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmIdentity {
    /// The one that Azure's SDKs give a device which has no other.
    pub registration_id: String,
    /// `TPM2B_PUBLIC`, base64.
    pub endorsement_key: String,
}

impl TpmIdentity {
    /// Asks the TPM.
    pub async fn of(tpm: Tpm2) -> anyhow::Result<Self> {
        let asked = tokio::task::spawn_blocking(move || tpm.endorsement_key()).await;
        let key = asked.context("the TPM was not asked")?;
        let key =
            key.map_err(|failure| anyhow!(failure)).context("the TPM does not show its endorsement key")?;
        Ok(Self { registration_id: default_registration_id(&key), endorsement_key: STANDARD.encode(key) })
    }

    /// For a person.
    pub fn sentences(&self) -> String {
        let Self { registration_id, endorsement_key } = self;
        format!("Registration id: {registration_id}\nEndorsement key: {endorsement_key}")
    }
}

/// An error of a device with a TPM: with what to enroll, when the service does not know the TPM.
pub async fn told(error: anyhow::Error, tpm: Tpm2, registration_id: Option<&str>) -> anyhow::Error {
    let unknown = matches!(error.downcast_ref(), Some(Error::Refused { status: 401 | 404, .. }));
    if !unknown {
        return error;
    }
    match TpmIdentity::of(tpm).await {
        Ok(identity) => {
            let id = registration_id.unwrap_or(&identity.registration_id);
            let key = identity.endorsement_key;
            anyhow!(
                "{error}\nIs the device enrolled? Its individual enrollment has the registration id {id} and the \
                 endorsement key\n{key}"
            )
        }
        Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_what_an_enrollment_asks_for() {
        let identity = TpmIdentity { registration_id: "abc".into(), endorsement_key: "AToA".into() };
        assert_eq!(identity.sentences(), "Registration id: abc\nEndorsement key: AToA");
        assert_eq!(
            serde_json::to_string(&identity).unwrap(),
            r#"{"registrationId":"abc","endorsementKey":"AToA"}"#
        );
    }

    #[tokio::test]
    async fn error_that_is_no_refusal_stays_as_it_is() {
        let tpm = Tpm2::new("swtpm:port=1".parse().unwrap());
        let error = told(anyhow!("the cable is cut"), tpm, None).await;
        assert_eq!(error.to_string(), "the cable is cut");
    }
}
