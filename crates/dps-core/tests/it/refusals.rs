//! Requests that are refused: who, where, with what, and what the operator reads.

use dps_core::{DeviceOperation, DeviceRequest};
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask, NetworkAccess};
use dps_model::registration::DeviceRegistration;
use dps_model::{Secret, limits};
use serde_json::json;

use crate::bed::{Bed, Credential, Device, code, register, symmetric, with};
use crate::pki::{Ca, clients, self_signed, signers};

#[tokio::test(start_paused = true)]
async fn wrong_key_and_unknown_device_hear_the_same() {
    let bed = Bed::new().await;
    bed.keyed("dev-1").await;
    let wrong = bed.register(&Device::keyed("dev-1", Secret::new(vec![9; 32]))).await.unwrap_err();
    assert_eq!(bed.events.last_attempt().reason, Some("SAS_SIGNATURE_MISMATCH"));
    let unknown = bed.register(&Device::keyed("dev-2", Secret::new(vec![9; 32]))).await.unwrap_err();
    assert_eq!((wrong.code, wrong.message), (unknown.code, unknown.message));
    assert_ne!(wrong.cause, unknown.cause);
    assert!(bed.hubs.names().is_empty() && bed.document("dev-1").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn token_within_the_skew_is_accepted_and_beyond_refused() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let late = |by: i64| Device { lifetime: -by, ..device.clone() };
    assert!(bed.register(&late(limits::SAS_CLOCK_SKEW)).await.is_ok());
    assert_eq!(code(bed.register(&late(limits::SAS_CLOCK_SKEW + 1)).await), 401_000);
    assert_eq!(bed.events.last_attempt().reason, Some("SAS_EXPIRED"));
}

#[tokio::test(start_paused = true)]
async fn evidence_of_the_wrong_kind_or_none_is_refused_with_its_reason() {
    let bed = Bed::new().await;
    bed.keyed("dev-1").await;
    let der = self_signed("dev-2");
    bed.enroll("dev-2", json!({"attestation": clients(&der, None)})).await;
    let cases = [
        (Device::new("dev-1", Credential::Nothing), "EVIDENCE_MISSING"),
        (Device::certified("dev-1", &[&der]), "EVIDENCE_OTHER_KIND"),
        (Device::keyed("dev-2", Secret::new(vec![9; 32])), "EVIDENCE_OTHER_KIND"),
        (Device::certified("dev-2", &[&self_signed("dev-2")]), "X509_CERTIFICATE_NOT_ENROLLED"),
        (Device::certified("dev-2", &[b"no certificate"]), "X509_CERTIFICATE_MALFORMED"),
    ];
    for (device, reason) in cases {
        let status = code(bed.register(&device).await) / 1_000;
        assert_eq!((status, bed.events.last_attempt().reason), (401, Some(reason)));
    }
    let mut request = bed.request(&Device::keyed("dev-1", Secret::new(vec![9; 32])), register());
    request.sas_token = Some("SharedAccessSignature nonsense".to_owned().into());
    assert_eq!(code(bed.ask(request).await), 401_000);
    assert_eq!(bed.events.last_attempt().reason, Some("SAS_MALFORMED"));
}

#[tokio::test(start_paused = true)]
async fn chain_to_an_unknown_or_forged_authority_is_refused() {
    let bed = Bed::new().await;
    let root = Ca::root("Root");
    bed.enroll_group("all", json!({"attestation": signers(&root.der)})).await;
    // Another authority of the same name: found by name, refused by key.
    let forged = Ca::root("Root");
    let leaf = forged.issue("dev-1");
    assert_eq!(code(bed.register(&Device::certified("dev-1", &[&leaf, &forged.der])).await), 401_002);
    assert_eq!(bed.events.last_attempt().candidates[0].enrollment.id, "all");
    let stranger = Ca::root("Stranger");
    let leaf = stranger.issue("dev-1");
    assert_eq!(code(bed.register(&Device::certified("dev-1", &[&leaf])).await), 401_002);
    let attempt = bed.events.last_attempt();
    assert!(attempt.candidates.is_empty() && attempt.chain.len() == 1);
    // The right authority, another device's certificate.
    let leaf = root.issue("dev-2");
    assert_eq!(code(bed.register(&Device::certified("dev-1", &[&leaf])).await), 401_002);
    assert_eq!(bed.events.last_attempt().reason, Some("X509_COMMON_NAME_MISMATCH"));
}

#[tokio::test(start_paused = true)]
async fn what_names_no_request_is_refused_before_anything_is_looked_up() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let asked = |change: fn(&mut DeviceRequest)| {
        let mut request = bed.request(&device, register());
        change(&mut request);
        bed.provisioning.serve(request)
    };
    assert_eq!(code(asked(|request| request.api_version = None).await), 400_001);
    assert_eq!(code(asked(|request| request.api_version = Some("2019-03-32".into())).await), 400_001);
    assert_eq!(code(asked(|request| request.id_scope = "0ne00NOBODY".into()).await), 404_204);
    assert_eq!(code(asked(|request| request.id_scope = String::new()).await), 404_204);
    assert!(bed.provisioning.knows_scope("0NE00test01") && !bed.provisioning.knows_scope("0ne"));
    for bad in ["", "a/b", "ends.", &"x".repeat(limits::MAX_REGISTRATION_ID + 1), "ümlaut"] {
        let mut request = bed.request(&device, register());
        request.registration_id = bad.to_owned();
        assert_eq!(code(bed.ask(request).await), 400_004, "{bad}");
    }
    let named = |id: &str| DeviceRegistration { registration_id: Some(id.into()), ..Default::default() };
    let register_as = |id| bed.request(&device, DeviceOperation::Register(named(id)));
    assert_eq!(code(bed.ask(register_as("dev-2")).await), 400_004);
    assert!(bed.ask(register_as("DEV-1")).await.is_ok());
    let lookup = bed.request(&device, DeviceOperation::RegistrationLookup(named("dev-2")));
    assert_eq!(code(bed.ask(lookup).await), 400_004);
}

#[tokio::test(start_paused = true)]
async fn two_first_requests_at_once_admit_one_and_refuse_or_repeat_the_other() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let (one, two) = tokio::join!(bed.register(&device), bed.register(&device));
    for other in [&one, &two] {
        match other {
            Ok(id) => assert_eq!(id, one.as_ref().or(two.as_ref()).unwrap()),
            Err(error) => assert_eq!(error.code.row().code, 409_203),
        }
    }
    assert_eq!(bed.hubs.puts().len(), 1);
}

#[tokio::test]
async fn deleted_enrollment_refuses_its_devices_and_keeps_their_records() {
    let bed = Bed::new().await;
    let keys = bed.enroll_group("line", symmetric()).await;
    let device = Device::derived("dev-1", &crate::bed::primary(&keys));
    bed.provision(&device).await;
    bed.enrollments.delete_group(&bed.instance, "LINE", None).await.unwrap();
    assert_eq!(code(bed.register(&device).await), 401_000);
    assert!(bed.enrollments.registration(&bed.instance, "dev-1").await.is_ok());
    assert_eq!(bed.hubs.names().len(), 1);
    bed.enroll_group("line", with(symmetric(), "provisioningStatus", json!("enabled"))).await;
    assert_eq!(code(bed.register(&device).await), 401_000, "new keys were generated");
}

fn reject(mask: &str, target: IpFilterTarget) -> NetworkAccess {
    let ip_mask = IpMask::parse(mask).unwrap();
    let filter_name = "keep-out".to_owned();
    let rule = IpFilterRule { filter_name, action: IpFilterAction::Reject, ip_mask, target };
    NetworkAccess { public: true, rules: vec![rule] }
}

#[tokio::test(start_paused = true)]
async fn address_that_a_rule_rejects_is_refused_from_the_next_request_on() {
    let bed = Bed::new().await;
    let device = Device { peer: [192, 0, 2, 7], ..bed.keyed("dev-1").await };
    let operation = bed.register(&device).await.unwrap();
    let change = async |network: NetworkAccess| {
        let known = bed.instances.default_instance();
        let changed = bed.instances.change(&known, None, |instance| {
            instance.network = network.clone();
            Ok(())
        });
        changed.await.unwrap();
    };
    change(reject("192.0.2.0/24", IpFilterTarget::DeviceApi)).await;
    let stranger = Device { peer: device.peer, ..Device::keyed("nobody", Secret::new(vec![9; 32])) };
    let known = bed.register(&device).await.unwrap_err();
    let unknown = bed.register(&stranger).await.unwrap_err();
    let poll = bed.poll(&device, &operation).await.unwrap_err();
    let lookup = bed.lookup(&device).await.unwrap_err();
    for error in [known, unknown, poll, lookup] {
        assert_eq!((error.code.row().code, error.message.as_ref()), (401_000, "Unauthorized"));
        assert!(error.cause.unwrap().contains("\"keep-out\" (192.0.2.0/24) rejects 192.0.2.7"));
    }
    let attempt = bed.events.last_attempt();
    assert_eq!((attempt.reason, attempt.instance.as_deref()), (Some("IP_FILTER_REJECTED"), Some("dps")));
    assert!(attempt.sas.is_none() && attempt.steps.is_empty(), "nothing of it was looked at");
    assert!(bed.register(&Device { peer: [198, 51, 100, 1], ..device.clone() }).await.is_ok());

    change(NetworkAccess { public: false, rules: Vec::new() }).await;
    assert_eq!(code(bed.register(&device).await), 401_000);
    assert_eq!(bed.events.last_attempt().reason, Some("PUBLIC_NETWORK_ACCESS_DISABLED"));
    assert!(bed.register(&Device { peer: [10, 0, 0, 1], ..device.clone() }).await.is_ok());

    change(reject("192.0.2.0/24", IpFilterTarget::ServiceApi)).await;
    assert!(bed.register(&device).await.is_ok(), "the rule is about the service API");
}
