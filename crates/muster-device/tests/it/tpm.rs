//! A device with a TPM: the challenge answered over HTTPS, the hub's key taken in, and the hub's token signed by it.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use dps_attestation::SasToken;
use dps_attestation::tpm::{ActivationBlob, PublicArea, system_random};
use muster_device::{
    Assignment, Attestation, Clock, Error, HubClient, Secret, SecurityProviderTpm, SystemClock, TpmFailure,
    Transport,
};

use crate::http_service::{Asked, Reply, Service, reply};
use crate::mqtt_peer::Peer;
use crate::pki::Ca;
use crate::software_tpm::SoftwareTpm;
use crate::{ASSIGNING, DEVICE, HOST, OPERATION, SCOPE, client};

const JSON: &[(&str, &str)] = &[("content-type", "application/json; charset=utf-8"), ("retry-after", "3")];

/// The chip, with the key that was activated last.
#[derive(Clone)]
struct Chip {
    tpm: Arc<SoftwareTpm>,
    activated: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Chip {
    fn new() -> Self {
        Self { tpm: Arc::new(SoftwareTpm::new()), activated: Arc::default() }
    }

    /// A blob for this chip, as the service makes it.
    fn wrap(&self, key: &Secret) -> String {
        let [endorsement, storage] = [self.tpm.endorsement.public(), self.tpm.storage.public()]
            .map(|public| PublicArea::parse(&public).unwrap());
        ActivationBlob::wrap(&endorsement, &storage, key, "uri", &mut system_random).unwrap().to_base64()
    }
}

impl SecurityProviderTpm for Chip {
    fn endorsement_key(&self) -> Result<Vec<u8>, TpmFailure> {
        Ok(self.tpm.endorsement.public())
    }

    fn storage_root_key(&self) -> Result<Vec<u8>, TpmFailure> {
        Ok(self.tpm.storage.public())
    }

    fn activate_identity_key(&self, blob: &[u8]) -> Result<(), TpmFailure> {
        if blob.len() < 100 {
            return Err("TPM_RC_SIZE".into());
        }
        let (key, _) = self.tpm.activate(blob).ok_or("TPM_RC_INTEGRITY")?;
        *self.activated.lock().unwrap() = Some(key);
        Ok(())
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        let activated = self.activated.lock().unwrap();
        let key = activated.as_ref().ok_or("TPM_RC_HANDLE")?;
        Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec())
    }
}

/// A chip with room for two keys.
struct Roomy(Chip);

impl SecurityProviderTpm for Roomy {
    fn endorsement_key(&self) -> Result<Vec<u8>, TpmFailure> {
        self.0.endorsement_key()
    }

    fn storage_root_key(&self) -> Result<Vec<u8>, TpmFailure> {
        self.0.storage_root_key()
    }

    fn activate_identity_key(&self, blob: &[u8]) -> Result<(), TpmFailure> {
        self.0.activate_identity_key(blob)
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        self.0.sign(data)
    }

    fn answer_challenge(&self, blob: &[u8], data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        let second = Chip { tpm: Arc::clone(&self.0.tpm), activated: Arc::default() };
        second.activate_identity_key(blob)?;
        second.sign(data)
    }
}

fn challenge(blob: &str) -> Reply {
    let body = format!(
        r#"{{"message":"Authorization required, resend request using supplied key","authenticationKey":"{blob}",
            "keyName":"registration"}}"#
    );
    reply(401, JSON, &body)
}

fn assigned(tpm: &str) -> Reply {
    let body = format!(
        r#"{{"operationId":"{OPERATION}","status":"assigned","registrationState":{{"tpm":{tpm},
            "registrationId":"{DEVICE}","assignedHub":"hub.test","deviceId":"{DEVICE}","status":"assigned"}}}}"#
    );
    reply(200, JSON, &body)
}

async fn provision(ca: &Ca, chip: &Chip, replies: Vec<Reply>) -> (Result<Assignment, Error>, Vec<Asked>) {
    let service = Service::start(ca.listen(&[HOST]).await, replies);
    let attestation = Attestation::tpm(chip.clone());
    let client = client(ca, Transport::Https, service.port, attestation);
    let result = client.payload(serde_json::json!({"model": 7})).build().unwrap().provision().await;
    (result, service.asked())
}

fn keys() -> (Secret, Secret) {
    let key = |byte: &str| Secret::new(hex::decode(byte.repeat(32)).unwrap());
    (key("07"), key("09"))
}

#[tokio::test]
async fn tpm_answers_the_challenge_and_keeps_the_hub_key() {
    let (ca, chip, (key, hub_key)) = (Ca::new(), Chip::new(), keys());
    let tpm = format!(r#"{{"authenticationKey":"{}"}}"#, chip.wrap(&hub_key));
    let replies = vec![challenge(&chip.wrap(&key)), reply(202, JSON, ASSIGNING), assigned(&tpm)];
    let (result, asked) = provision(&ca, &chip, replies).await;
    let assignment = result.unwrap();

    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].header("authorization"), None, "the first one shows keys alone");
    assert_eq!(asked[0].body, asked[1].body, "the same request again");
    let body: serde_json::Value = serde_json::from_str(&asked[0].body).unwrap();
    let shown = chip.tpm.keys();
    assert_eq!(body["tpm"]["endorsementKey"], shown.endorsement_key);
    assert_eq!(body["tpm"]["storageRootKey"], shown.storage_root_key.unwrap());
    assert_eq!(body["payload"]["model"], 7);
    for asked in &asked[1..] {
        let token = SasToken::parse(asked.header("authorization").unwrap()).unwrap();
        assert!(token.resource_is(&format!("{SCOPE}/registrations/{DEVICE}")));
        assert_eq!(token.policy(), Some("registration"));
        token.check([&key, &key], SystemClock.now()).unwrap();
    }

    let listener = ca.listen(&["hub.test"]).await;
    let attestation = Attestation::tpm(chip);
    let options = muster_device::HubOptions::default().port(listener.port).roots(ca.pem()).dial("127.0.0.1");
    let serve = async {
        let mut peer = Peer::accept(&listener).await;
        let (connect, _) = peer.welcome().await;
        (peer, connect)
    };
    let connected = HubClient::connect(&assignment, &attestation, options);
    let (hub, (_peer, connect)) = tokio::join!(connected, serve);
    hub.unwrap();
    let token = SasToken::parse(connect.password.unwrap().expose_str().unwrap()).unwrap();
    assert!(token.resource_is(&format!("hub.test/devices/{DEVICE}")));
    token.check([&hub_key, &hub_key], SystemClock.now()).unwrap();
}

#[tokio::test]
async fn tpm_with_room_keeps_the_hub_key_of_a_registration_that_fails_half_way() {
    let (ca, chip, (key, hub_key)) = (Ca::new(), Chip::new(), keys());
    *chip.activated.lock().unwrap() = Some(hub_key.expose().to_vec());
    let replies = vec![challenge(&chip.wrap(&key)), reply(503, JSON, "{}")];
    let service = Service::start(ca.listen(&[HOST]).await, replies);
    let attestation = Attestation::tpm(Roomy(chip.clone()));
    let client = client(&ca, Transport::Https, service.port, attestation).build().unwrap();
    let error = client.provision().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 503, .. }), "{error}");
    let asked = service.asked();
    let token = SasToken::parse(asked[1].header("authorization").unwrap()).unwrap();
    token.check([&key, &key], SystemClock.now()).unwrap();
    assert_eq!(chip.activated.lock().unwrap().as_deref(), Some(hub_key.expose()));
}

#[tokio::test]
async fn tpm_challenged_twice_is_refused() {
    let (ca, chip, (key, _)) = (Ca::new(), Chip::new(), keys());
    let again = challenge(&chip.wrap(&key));
    let (result, asked) = provision(&ca, &chip, vec![again.clone(), again]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn tpm_that_is_not_known_is_refused_without_asking_it() {
    let (ca, chip) = (Ca::new(), Chip::new());
    let unknown = r#"{"errorCode":404201,"trackingId":"t","message":"Enrollment not found."}"#;
    let (result, asked) = provision(&ca, &chip, vec![reply(404, JSON, unknown)]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 404, error_code: Some(404_201), .. }), "{error}");
    assert_eq!(asked.len(), 1);
    assert_eq!(*chip.activated.lock().unwrap(), None);
}

#[tokio::test]
async fn tpm_that_cannot_take_a_key_in_says_what_it_could_not() {
    let (ca, chip, (key, _)) = (Ca::new(), Chip::new(), keys());
    let (result, _) = provision(&ca, &chip, vec![challenge(&Chip::new().wrap(&key))]).await;
    let error = result.unwrap_err();
    assert_eq!(
        error,
        Error::Tpm("the TPM did not take in the key that the service sent: TPM_RC_INTEGRITY".into())
    );
    let (result, _) = provision(&ca, &chip, vec![challenge("not base64!")]).await;
    assert!(matches!(result.unwrap_err(), Error::Protocol(_)));
    let (result, _) = provision(&ca, &chip, vec![challenge("AAAA")]).await;
    assert!(matches!(result.unwrap_err(), Error::Tpm(_)));
}

#[tokio::test]
async fn tpm_assigned_without_a_hub_key_is_a_protocol_error() {
    let (ca, chip, (key, _)) = (Ca::new(), Chip::new(), keys());
    let replies = vec![challenge(&chip.wrap(&key)), reply(202, JSON, ASSIGNING), assigned("{}")];
    let (result, _) = provision(&ca, &chip, replies).await;
    assert!(matches!(result.unwrap_err(), Error::Protocol(_)));
}

#[tokio::test]
async fn tpm_is_for_https_alone_and_does_not_look_up() {
    let ca = Ca::new();
    let build = |transport| client(&ca, transport, 1, Attestation::tpm(Chip::new())).build();
    for transport in [Transport::Mqtt, Transport::MqttWs] {
        assert!(matches!(build(transport), Err(Error::Setting(_))));
    }
    let error = build(Transport::Https).unwrap().look_up().await.unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
}
