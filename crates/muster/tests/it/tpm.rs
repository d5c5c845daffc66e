//! A device with a TPM against the real server: challenged over HTTPS, assigned, connected to its hub with the key that
//! came wrapped for its chip alone; and what an answer to a challenge is not good for.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::sas_token::SasToken;
use dps_model::Secret;
use muster_device::{
    Assignment, Attestation, Error, HubClient, ProvisioningClient, SecurityProviderTpm, TpmFailure, Transport,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::http::{Answer, Http};
use crate::harness::run;
use crate::harness::server::{Endpoint, Server, Start};
use crate::harness::tls;
use crate::software_tpm::SoftwareTpm;

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

    fn key(&self) -> Secret {
        Secret::new(self.activated.lock().unwrap().clone().expect("a key was activated"))
    }

    /// The endorsement key as tools copy it out of a little-endian host's memory.
    fn host_endian(&self) -> String {
        let key = &self.tpm.endorsement;
        STANDARD.encode(key.properties.host_memory(&key.modulus))
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
        let (key, _) = self.tpm.activate(blob).ok_or("TPM_RC_INTEGRITY")?;
        *self.activated.lock().unwrap() = Some(key);
        Ok(())
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        let key = self.key();
        Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), data).as_ref().to_vec())
    }
}

/// A server, and the folder that it keeps its CA in.
struct Site {
    server: Server,
    endpoint: Endpoint,
    http: Http<tls::Stream>,
    folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).server().await;
        let endpoint = server.endpoint.clone();
        let http = endpoint.http().await.unwrap();
        Self { server, endpoint, http, folder }
    }

    /// Enrolls the endorsement key under that id, through the service API.
    async fn enroll(&mut self, id: &str, endorsement_key: &str) -> Value {
        self.enroll_with(id, endorsement_key, json!({})).await
    }

    /// The same with more in it.
    async fn enroll_with(&mut self, id: &str, endorsement_key: &str, mut body: Value) -> Value {
        complete(&mut body, id, endorsement_key);
        let path = format!("/enrollments/{id}");
        self.endpoint.service(&mut self.http, "PUT", &path, Some(body)).await.unwrap()
    }

    /// Writes over what is enrolled under that id.
    async fn update(&mut self, id: &str, endorsement_key: &str, mut body: Value) {
        complete(&mut body, id, endorsement_key);
        let target = format!("/enrollments/{id}?api-version=2021-10-01");
        let token = self.endpoint.service_token();
        let headers = [("Authorization", &*token), ("If-Match", "*")];
        let answer = self.http.ask("PUT", &target, &headers, Some(body.to_string().as_bytes())).await;
        assert_eq!(answer.unwrap().status, 200);
    }

    fn client(&self, id: &str, chip: &Chip) -> ProvisioningClient {
        let endpoint = &self.endpoint;
        let ca = std::fs::read(self.folder.path().join("ca.pem")).unwrap();
        let attestation = Attestation::tpm(chip.clone());
        let client = ProvisioningClient::builder("localhost", &endpoint.id_scope, id, attestation);
        let client = client.transport(Transport::Https).ports(endpoint.mqtt, endpoint.https).roots(ca);
        client.dial("127.0.0.1").poll_immediately(true).build().unwrap()
    }

    async fn provision(&self, id: &str, chip: &Chip) -> Result<Assignment, Error> {
        self.client(id, chip).provision().await
    }

    /// Connects to the assigned hub with the key that the chip holds now, and uses the connection.
    async fn greet(&self, assignment: &Assignment, chip: &Chip) -> Result<(), Error> {
        let options = self.client(&assignment.device_id, chip).hub_options();
        let options = options.transport(Transport::Mqtt).port(self.endpoint.mqtt);
        let hub = HubClient::connect(assignment, &Attestation::tpm(chip.clone()), options).await?;
        hub.report(&json!({"tpm": true})).await?;
        hub.close().await
    }

    /// One register request as it is on the wire.
    async fn register(&mut self, id: &str, chip: &Chip, token: Option<&str>) -> Answer {
        let keys = chip.tpm.keys();
        let tpm =
            json!({"endorsementKey": keys.endorsement_key, "storageRootKey": keys.storage_root_key.unwrap()});
        let body = json!({"registrationId": id, "tpm": tpm}).to_string();
        let target =
            format!("/{}/registrations/{id}/register?api-version=2019-03-31", self.endpoint.id_scope);
        let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().collect();
        self.http.ask("PUT", &target, &headers, Some(body.as_bytes())).await.unwrap()
    }

    /// Asks for a challenge, and takes its key into the chip.
    async fn challenge(&mut self, id: &str, chip: &Chip) -> Secret {
        let challenge = self.register(id, chip, None).await;
        assert_eq!(challenge.status, 401, "{}", challenge.json());
        let challenge = challenge.json();
        assert_eq!(challenge["keyName"], "registration");
        assert!(challenge["message"].is_string(), "{challenge}");
        let blob = STANDARD.decode(challenge["authenticationKey"].as_str().unwrap()).unwrap();
        chip.activate_identity_key(&blob).unwrap();
        chip.key()
    }

    /// A token of that key; `later` makes it another one than before.
    fn token(&self, id: &str, key: &Secret, later: i64) -> String {
        let resource = format!("{}/registrations/{id}", self.endpoint.id_scope);
        SasToken::sign(&resource, key, self.endpoint.expiry + later, Some("registration"))
    }

    /// Polls until the operation is over.
    async fn outcome(&mut self, id: &str, token: &str, operation_id: &str) -> Value {
        let target = format!(
            "/{}/registrations/{id}/operations/{operation_id}?api-version=2019-03-31",
            self.endpoint.id_scope
        );
        loop {
            let answer = self.http.ask("GET", &target, &[("Authorization", token)], None).await.unwrap();
            match answer.status {
                200 => return answer.json(),
                status => assert_eq!(status, 202, "{}", answer.json()),
            }
        }
    }
}

/// Who is enrolled, beside what an enrollment says already.
fn complete(enrollment: &mut Value, id: &str, endorsement_key: &str) {
    enrollment["registrationId"] = json!(id);
    enrollment["attestation"] = json!({"type": "tpm", "tpm": {"endorsementKey": endorsement_key}});
}

fn admitted(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["operationId"].as_str().unwrap().to_owned()
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status, &answer.json()["errorCode"]), (401, &json!(401_000)), "{}", answer.json());
    assert_eq!(answer.json()["authenticationKey"], Value::Null, "a wrong answer is no question");
}

#[test]
fn tpm_device_is_challenged_assigned_and_connects_to_its_hub() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        let endorsement_key = chip.tpm.keys().endorsement_key;
        let enrollment = site.enroll("with-tpm", &endorsement_key).await;
        assert_eq!(enrollment["attestation"]["tpm"]["endorsementKey"], endorsement_key);

        let first = site.provision("with-tpm", &chip).await.unwrap();
        assert_eq!(
            (&*first.device_id, &first.assigned_hub),
            ("with-tpm", &site.server.env["MUSTER_HUB_HOST"])
        );
        let first_key = chip.key();
        site.greet(&first, &chip).await.unwrap();
        let identity = site
            .endpoint
            .hub(&mut site.http, &first.assigned_hub, ("GET", "/devices/with-tpm"), &[], None)
            .await
            .unwrap()
            .json();
        let on_hub = &identity["authentication"]["symmetricKey"]["primaryKey"];
        assert_eq!(*on_hub, STANDARD.encode(first_key.expose()), "the hub holds what the chip was given");

        let again = site.provision("with-tpm", &chip).await.unwrap();
        assert_eq!((&again.assigned_hub, &again.device_id), (&first.assigned_hub, &first.device_id));
        assert_ne!(again.operation_id, first.operation_id);
        assert_ne!(chip.key().expose(), first_key.expose(), "a new key with every registration");
        site.greet(&again, &chip).await.unwrap();
        *chip.activated.lock().unwrap() = Some(first_key.expose().to_vec());
        let error = site.greet(&again, &chip).await.unwrap_err();
        assert!(matches!(error, Error::ConnectionRefused { return_code: 5, .. }), "{error}");
        site.server.stop();
    });
}

#[test]
fn tpm_with_another_key_or_an_unknown_id_is_refused() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        site.enroll("with-tpm", &chip.tpm.keys().endorsement_key).await;
        let stranger = Chip::new();
        let error = site.provision("with-tpm", &stranger).await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 401, error_code: Some(401_000), .. }), "{error}");
        let error = site.provision("without-tpm", &chip).await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: 404, error_code: Some(404_201), .. }), "{error}");
        assert!(stranger.activated.lock().unwrap().is_none(), "nobody was challenged");
        site.provision("with-tpm", &chip).await.unwrap();
        site.server.stop();
    });
}

#[test]
fn tpm_enrolled_in_the_byte_order_of_a_host_is_assigned() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        let spelled = chip.host_endian();
        let enrollment = site.enroll("host-endian", &spelled).await;
        assert_eq!(enrollment["attestation"]["tpm"]["endorsementKey"], spelled, "kept as written");
        let assignment = site.provision("host-endian", &chip).await.unwrap();
        site.greet(&assignment, &chip).await.unwrap();
        site.server.stop();
    });
}

#[test]
fn answer_to_a_challenge_is_good_for_one_registration_and_its_repetition() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        for id in ["one", "other"] {
            site.enroll(id, &chip.tpm.keys().endorsement_key).await;
        }
        let key = site.challenge("one", &chip).await;
        let answer = site.token("one", &key, 0);
        let for_other = site.token("other", &key, 0);

        // Neither the token nor the key of one device's challenge is another's, whose chip is the same.
        refused(&site.register("other", &chip, Some(&answer)).await);
        refused(&site.register("other", &chip, Some(&for_other)).await);

        let operation_id = admitted(&site.register("one", &chip, Some(&answer)).await);
        assert_eq!(admitted(&site.register("one", &chip, Some(&answer)).await), operation_id);
        let outcome = site.outcome("one", &answer, &operation_id).await;
        assert_eq!(outcome["status"], "assigned", "{outcome}");
        let state = &outcome["registrationState"];
        let hub_key = |outcome: &Value| outcome["registrationState"]["tpm"]["authenticationKey"].clone();
        assert!(hub_key(&outcome).is_string(), "{state}");
        assert_eq!(
            admitted(&site.register("one", &chip, Some(&answer)).await),
            operation_id,
            "after its end too"
        );
        assert_eq!(hub_key(&site.outcome("one", &answer, &operation_id).await), hub_key(&outcome));

        // The same key, another registration.
        let second = site.token("one", &key, 1);
        refused(&site.register("one", &chip, Some(&second)).await);

        // And once another answer was admitted, the first one is nothing any more.
        let key = site.challenge("one", &chip).await;
        let next = site.token("one", &key, 0);
        assert_ne!(admitted(&site.register("one", &chip, Some(&next)).await), operation_id);
        refused(&site.register("one", &chip, Some(&answer)).await);
        site.server.stop();
    });
}

#[test]
fn answer_repeated_under_a_disabled_enrollment_is_answered_disabled_again() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        let endorsement_key = chip.tpm.keys().endorsement_key;
        // A registration that found no hub leaves an operation behind.
        site.enroll_with("off", &endorsement_key, json!({"iotHubs": ["nowhere.example"]})).await;
        let key = site.challenge("off", &chip).await;
        let answer = site.token("off", &key, 0);
        let failed = admitted(&site.register("off", &chip, Some(&answer)).await);
        assert_eq!(site.outcome("off", &answer, &failed).await["status"], "failed");

        site.update("off", &endorsement_key, json!({"provisioningStatus": "disabled"})).await;
        let key = site.challenge("off", &chip).await;
        let answer = site.token("off", &key, 0);
        for _ in 0..2 {
            let disabled = site.register("off", &chip, Some(&answer)).await;
            assert_eq!((disabled.status, &disabled.json()["status"]), (200, &json!("disabled")));
        }

        site.update("off", &endorsement_key, json!({})).await;
        let operation_id = admitted(&site.register("off", &chip, Some(&answer)).await);
        assert_eq!(site.outcome("off", &answer, &operation_id).await["status"], "assigned");
        site.server.stop();
    });
}

#[test]
fn challenge_is_answered_after_a_restart() {
    run(async {
        let (mut site, chip) = (Site::start().await, Chip::new());
        site.enroll("patient", &chip.tpm.keys().endorsement_key).await;
        let key = site.challenge("patient", &chip).await;
        site.server.stop();
        let server = Start::on(site.folder.path()).server().await;
        site.endpoint = server.endpoint.clone();
        site.http = site.endpoint.http().await.unwrap();
        site.server = server;
        let answer = site.token("patient", &key, 0);
        admitted(&site.register("patient", &chip, Some(&answer)).await);
        site.server.stop();
    });
}
