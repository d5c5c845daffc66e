//! Rehearsals: they foresee what then happens, tell each step, and leave everything as it was.

use std::sync::Arc;

use dps_attestation::sas_token::sign_for_device;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{Enrollments, KeyRings};
use dps_core::links::{Link, Links};
use dps_core::ports::{Clock as _, Collection, HubError, Page, Store, WebhookAnswer};
use dps_core::rehearsal::{Asked, Foreseen, Proposed, Rehearsal, Shown, StepResult};
use dps_core::{DeviceResponse, Rehearsals};
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_model::registration::{Status, TpmKeys};
use dps_model::{Error, ErrorCode, IdScope, Protocol, RegistrationId, Secret};
use serde_json::{Value, json};

use crate::bed::{Bed, Device, SCOPE, input, primary, register, symmetric, with};
use crate::pki::{Ca, clients, self_signed, signers, text};

const A: &str = "hub-a.example";
const B: &str = "hub-b.example";
/// An endorsement key as its maker prints it.
const EK: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAxsj2gUScTk1UjuioeTlfGYZrrimExB+bScH75adUMRIi2UOMxG1kw4y+9RW/IVoMl4e620VxZad0ARX2gUqVjYO7KPVt3dyKhZS3dkcvfBisBhP1XH9B33VqHG9SHnbnQXdBUaCgKAfxome8UmBKfe+naTsE5fkvjb/do3/dD6l4sGBwFCnKRdln4XpM03zLpoHFao8zOwt8l/uP3qUIxmCYv9A7m69Ms+5/pCkTu/rK4mRDsfhZ0QLfbzVI6zQFOKF/rwsfBtFeWlWtcuJMKlXdD8TXWElTzgh7JS4qhFzreL0c1mI0GCj+Aws0usZh7dLIVPnlgZcBhgy1SSDQMQ==";

fn rehearsals(bed: &Bed) -> Rehearsals {
    let rings = Arc::new(KeyRings::new(Arc::clone(&bed.store)));
    let lane = Arc::new(GroupLane::start().unwrap());
    let enrollments = Enrollments::new(Arc::clone(&bed.store), Arc::clone(&bed.clock) as _, rings, lane);
    let (clock, regions) = (Arc::clone(&bed.clock) as _, Arc::clone(&bed.regions) as _);
    let webhook = Arc::clone(&bed.hubs) as _;
    Rehearsals::new(Arc::clone(&bed.instances), Arc::new(enrollments), clock, regions, webhook).unwrap()
}

fn asked(id: Option<&str>, shown: Shown) -> Asked {
    Asked {
        registration_id: id.map(str::to_owned),
        shown,
        payload: None,
        client: ([127, 0, 0, 1], 0).into(),
        protocol: Protocol::Mqtt,
        api_version: None,
        asks_webhook: false,
    }
}

fn chain(ders: &[&[u8]]) -> Shown {
    let texts: Vec<String> = ders.iter().map(|der| text(der)).collect();
    Shown::certificates(texts.iter().map(String::as_str)).unwrap()
}

async fn run(bed: &Bed, asked: Asked, proposed: Option<Proposed>) -> Result<Rehearsal, Error> {
    rehearsals(bed).run(&bed.instances.default_instance(), asked, proposed).await
}

/// Every document of the service, byte for byte.
async fn everything(store: &Arc<dyn Store>) -> Vec<String> {
    let mut all = Vec::new();
    for collection in Collection::ALL {
        for instance in ["", "dps"] {
            let page = Page { collection, instance, owner: None, after: None, limit: 500 };
            for document in store.page(page).await.unwrap() {
                let sealed = document.sealed.map(|sealed| sealed.expose().to_vec());
                all.push(format!(
                    "{collection:?} {instance} {} {} {} {sealed:?} {:?} {:?} {:?}",
                    document.id, document.etag, document.body, document.owner, document.due, document.lookups
                ));
            }
        }
    }
    all
}

fn results(rehearsal: &Rehearsal) -> Vec<(&'static str, StepResult)> {
    rehearsal.steps.iter().map(|step| (step.name, step.result)).collect()
}

/// The one step that failed or is open.
fn stop(rehearsal: &Rehearsal) -> (&'static str, StepResult, &str) {
    let stop =
        |step: &&dps_core::rehearsal::Step| matches!(step.result, StepResult::Failed | StepResult::Open);
    let stops: Vec<_> = rehearsal.steps.iter().filter(stop).collect();
    assert_eq!(stops.len(), 1, "{:?}", rehearsal.steps);
    (stops[0].name, stops[0].result, &stops[0].detail)
}

/// The line with devices of every kind in it: what is foreseen happens, and the records say the same.
#[tokio::test(start_paused = true)]
async fn what_is_foreseen_happens_and_until_then_nothing_does() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let own = bed.keyed("own-1").await;
    let line = primary(&bed.enroll_group("line", symmetric()).await);
    let (root, other) = (Ca::root("Root"), Ca::root("Root"));
    let middle = root.issue_ca("Middle");
    bed.enroll_group("certified", json!({"attestation": signers(&root.der)})).await;
    bed.enroll_group("near", json!({"attestation": signers(&middle.der)})).await;
    bed.enroll(
        "off-1",
        with(json!({"attestation": clients(&self_signed("off-1"), None)}), "deviceId", json!("x")),
    )
    .await;
    let nowhere = with(symmetric(), "iotHubs", json!(["gone.example"]));
    let stranded = primary(&bed.enroll("stranded-1", nowhere).await);
    let (leaf, forged, stale) = (middle.issue("leaf-1"), other.issue("leaf-2"), self_signed("off-1"));
    let devices: Vec<(Device, Shown, Foreseen)> = vec![
        (own.clone(), Shown::Key(key(&own)), Foreseen::Assigned),
        (
            Device::derived("line-1", &line),
            Shown::Key(key(&Device::derived("line-1", &line))),
            Foreseen::Assigned,
        ),
        (Device::keyed("line-2", line.clone()), Shown::Key(line.clone()), Foreseen::Refused),
        (
            Device::certified("leaf-1", &[&leaf, &middle.der]),
            chain(&[&leaf, &middle.der]),
            Foreseen::Assigned,
        ),
        (Device::certified("leaf-2", &[&forged]), chain(&[&forged]), Foreseen::Refused),
        (Device::certified("off-1", &[&stale]), chain(&[&stale]), Foreseen::Refused),
        (Device::keyed("stranded-1", stranded.clone()), Shown::Key(stranded.clone()), Foreseen::Failed),
        (Device::keyed("bad id!", line.clone()), Shown::Key(line.clone()), Foreseen::Refused),
    ];
    for (device, shown, expected) in devices {
        let (before, events) = (everything(&bed.store).await, bed.events.all().len());
        let rehearsal = run(&bed, asked(Some(&device.id), shown), None).await.unwrap();
        assert_eq!(rehearsal.foreseen, expected, "{}: {}", device.id, rehearsal.summary);
        assert_eq!(before, everything(&bed.store).await, "{}", device.id);
        assert_eq!(bed.events.all().len(), events, "its event goes into the answer alone");

        let answer = bed.ask(bed.request(&device, register())).await;
        let real = bed.events.last_register();
        let foreseen = &rehearsal.record;
        assert_eq!(
            (&foreseen.candidates, &foreseen.enrollment, foreseen.reason, foreseen.slot, &foreseen.hub),
            (&real.candidates, &real.enrollment, real.reason, real.slot, &real.hub),
            "{}",
            device.id
        );
        match (&answer, expected) {
            (Err(error), Foreseen::Refused) => {
                let told = rehearsal.error.as_ref().unwrap();
                assert_eq!((told.code, &told.message), (error.code, &error.message));
                assert_eq!(stop(&rehearsal).1, StepResult::Failed);
            }
            (Ok(DeviceResponse::Admitted { operation_id, .. }), Foreseen::Assigned) => {
                let state =
                    bed.poll(&device, operation_id.as_str()).await.unwrap().registration_state.unwrap();
                assert_eq!(state.assigned_hub.unwrap().as_str(), rehearsal.hub.as_deref().unwrap());
                assert_eq!(state.device_id.unwrap().as_str(), rehearsal.device_id.as_deref().unwrap());
                assert_eq!(state.substatus, rehearsal.substatus);
                assert_eq!(bed.events.assignments().last().unwrap().twin, rehearsal.twin);
            }
            (Ok(DeviceResponse::Admitted { operation_id, .. }), Foreseen::Failed) => {
                let state =
                    bed.poll(&device, operation_id.as_str()).await.unwrap().registration_state.unwrap();
                let told = rehearsal.error.as_ref().unwrap();
                assert_eq!((state.status, state.error_code), (Status::Failed, Some(told.code.row().code)));
            }
            other => panic!("{}: {other:?}", device.id),
        }
    }
}

fn key(device: &Device) -> Secret {
    match &device.credential {
        crate::bed::Credential::Key(key) => key.clone(),
        _ => panic!("no key"),
    }
}

#[tokio::test(start_paused = true)]
async fn steps_are_all_there_and_those_behind_a_failure_are_not_reached() {
    use StepResult::{Failed, NotReached, Ok};
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let good = run(&bed, asked(Some("dev-1"), Shown::Key(key(&device))), None).await.unwrap();
    let names = [
        "service",
        "address",
        "registrationId",
        "evidence",
        "findEnrollment",
        "verify",
        "status",
        "reprovision",
        "allocate",
        "twin",
    ];
    assert_eq!(results(&good), names.map(|name| (name, Ok)));
    assert!(good.steps.iter().all(|step| !step.title.is_empty() && !step.detail.is_empty()));
    let measured: Vec<_> =
        good.steps.iter().filter(|step| step.micros.is_some()).map(|step| step.name).collect();
    assert_eq!(measured, ["findEnrollment", "verify", "allocate"]);
    assert!(
        good.summary.contains(A) && good.summary.contains("individual enrollment dev-1"),
        "{}",
        good.summary
    );

    let wrong = run(&bed, asked(Some("dev-1"), Shown::Key(Secret::new(vec![9; 32]))), None).await.unwrap();
    let mut expected = names.map(|name| (name, Ok));
    expected[5].1 = Failed;
    expected[6..].iter_mut().for_each(|step| step.1 = NotReached);
    assert_eq!(results(&wrong), expected);
    assert!(stop(&wrong).2.contains("SAS_SIGNATURE_MISMATCH"));

    let unknown = run(&bed, asked(Some("dev-2"), Shown::Key(key(&device))), None).await.unwrap();
    assert_eq!(stop(&unknown).0, "findEnrollment");
    let nonsense = Shown::Token("SharedAccessSignature nonsense".to_owned().into());
    let malformed = run(&bed, asked(Some("dev-1"), nonsense), None).await.unwrap();
    assert_eq!(stop(&malformed).0, "evidence");
    let id = run(&bed, asked(Some("no id!"), Shown::Nothing), None).await.unwrap();
    assert_eq!(stop(&id).0, "registrationId");
    let mut old = asked(Some("dev-1"), Shown::Nothing);
    old.api_version = Some("1999-01-01".into());
    assert_eq!(stop(&run(&bed, old, None).await.unwrap()).0, "service");
}

#[tokio::test(start_paused = true)]
async fn address_is_the_device_s_and_kept_out_as_it_would_be() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let rule = IpFilterRule {
        filter_name: "keep-out".to_owned(),
        action: IpFilterAction::Reject,
        ip_mask: IpMask::parse("192.0.2.0/24").unwrap(),
        target: IpFilterTarget::DeviceApi,
    };
    let known = bed.instances.default_instance();
    let changed = bed.instances.change(&known, None, |instance| {
        instance.network.rules = vec![rule.clone()];
        Ok(())
    });
    changed.await.unwrap();
    let from = |address: [u8; 4]| Asked {
        client: (address, 0).into(),
        ..asked(Some("dev-1"), Shown::Key(key(&device)))
    };
    let kept_out = run(&bed, from([192, 0, 2, 7]), None).await.unwrap();
    let (name, _, why) = stop(&kept_out);
    assert!(name == "address" && why.contains("\"keep-out\" (192.0.2.0/24) rejects 192.0.2.7"), "{why}");
    assert_eq!(run(&bed, from([192, 0, 3, 7]), None).await.unwrap().foreseen, Foreseen::Assigned);
}

#[tokio::test]
async fn hub_that_refuses_the_service_is_foreseen_by_its_probe() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let links = Arc::new(Links::default());
    let link = Link { instance: "dps".into(), hub: A.into() };
    let tried = async || {
        let asked = asked(Some("dev-1"), Shown::Key(key(&device)));
        let rehearsals = rehearsals(&bed).with_links(Arc::clone(&links));
        rehearsals.run(&bed.instances.default_instance(), asked, None).await.unwrap()
    };
    links.answered(&link, Err(HubError::Unauthorized("401001 wrong key".into())), bed.clock.now());
    let told = tried().await;
    assert_eq!((told.foreseen, told.error.unwrap().code), (Foreseen::Failed, ErrorCode::HubUnauthorized));
    assert!(told.summary.contains(A) && told.summary.contains("Mend the link"), "{}", told.summary);
    let last = told.steps.last().unwrap();
    assert!(last.result == StepResult::Failed && last.detail.contains("401001 wrong key"), "{last:?}");
    links.answered(&link, Ok(()), bed.clock.now());
    assert_eq!(tried().await.foreseen, Foreseen::Assigned);
}

#[tokio::test(start_paused = true)]
async fn registration_id_is_taken_from_the_evidence_where_it_names_one() {
    let bed = Bed::new().await;
    let device = bed.keyed("dev-1").await;
    let (scope, id) = (IdScope::parse(SCOPE).unwrap(), RegistrationId::parse("dev-1").unwrap());
    let token = sign_for_device(&scope, &id, &key(&device), 1_893_456_000 + 60);
    let from_token = run(&bed, asked(None, Shown::Token(token.into())), None).await.unwrap();
    assert_eq!(
        (from_token.record.registration_id.as_str(), from_token.foreseen),
        ("dev-1", Foreseen::Assigned)
    );
    let der = self_signed("Cert-1");
    bed.enroll("cert-1", json!({"attestation": clients(&der, None)})).await;
    let from_name = run(&bed, asked(None, chain(&[&der])), None).await.unwrap();
    assert_eq!(
        (from_name.record.registration_id.as_str(), from_name.foreseen),
        ("Cert-1", Foreseen::Assigned)
    );
    for nameless in [Shown::Key(key(&device)), Shown::Tpm(tpm_keys()), Shown::Nothing] {
        let error = run(&bed, asked(None, nameless), None).await.err().unwrap();
        assert!(
            error.code == ErrorCode::ArgumentInvalid
                && error.message.starts_with("registrationId is required")
        );
    }
}

fn tpm_keys() -> TpmKeys {
    TpmKeys { endorsement_key: EK.into(), storage_root_key: Some(EK.into()) }
}

#[tokio::test(start_paused = true)]
async fn tpm_is_challenged_when_its_endorsement_key_is_the_enrolled_one() {
    let bed = Bed::new().await;
    bed.enroll("tpm-1", json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": EK}}})).await;
    let challenged = run(&bed, asked(Some("tpm-1"), Shown::Tpm(tpm_keys())), None).await.unwrap();
    assert_eq!(challenged.foreseen, Foreseen::Challenged);
    assert_eq!((stop(&challenged).0, stop(&challenged).1), ("verify", StepResult::Open));
    let unreadable = TpmKeys { endorsement_key: "bm8ga2V5".into(), storage_root_key: None };
    let refused = run(&bed, asked(Some("tpm-1"), Shown::Tpm(unreadable)), None).await.unwrap();
    assert_eq!((refused.foreseen, stop(&refused).0), (Foreseen::Refused, "evidence"));
    let stranger = run(&bed, asked(Some("tpm-2"), Shown::Tpm(tpm_keys())), None).await.unwrap();
    assert_eq!(stop(&stranger).0, "findEnrollment");
}

#[tokio::test(start_paused = true)]
async fn proposed_enrollment_stands_in_place_of_or_beside_what_is_kept() {
    let bed = Bed::new().await;
    let base64 = |n: u8| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [n; 32]);
    let keys = json!({"type": "symmetricKey",
        "symmetricKey": {"primaryKey": base64(1), "secondaryKey": base64(2)}});
    let body = |id: &str, value: &str| json!({id: value, "attestation": keys});
    let before = everything(&bed.store).await;
    // A group beside nothing: its key is tried though no ring has it.
    let derived = Device::derived("dev-1", &Secret::new(vec![1; 32]));
    let try_group =
        async |proposed| run(&bed, asked(Some("dev-1"), Shown::Key(key(&derived))), proposed).await.unwrap();
    assert_eq!(try_group(None).await.foreseen, Foreseen::Refused);
    let group = Proposed::Group(input(&body("enrollmentGroupId", "new-line")));
    let rehearsal = try_group(Some(group)).await;
    assert_eq!(rehearsal.foreseen, Foreseen::Assigned);
    assert_eq!(rehearsal.enrollment.unwrap().id, "new-line");
    assert_eq!(try_group(None).await.foreseen, Foreseen::Refused, "it was for that run alone");
    // A certificate group.
    let ca = Ca::root("Root");
    let leaf = ca.issue("leaf-1");
    let signed = json!({"enrollmentGroupId": "certified", "attestation": signers(&ca.der)});
    let proposed = Some(Proposed::Group(input(&signed)));
    let rehearsal = run(&bed, asked(None, chain(&[&leaf])), proposed).await.unwrap();
    assert_eq!(rehearsal.enrollment.unwrap().id, "certified");
    assert_eq!(before, everything(&bed.store).await);
    // In place of the device's own.
    let device = bed.keyed("own-1").await;
    let replaced = Some(Proposed::Individual(input(&body("registrationId", "own-1"))));
    let with_old_key = run(&bed, asked(Some("own-1"), Shown::Key(key(&device))), replaced).await.unwrap();
    assert_eq!(stop(&with_old_key).0, "verify");
    let off = with(body("registrationId", "own-1"), "provisioningStatus", json!("disabled"));
    let off = Some(Proposed::Individual(input(&off)));
    let disabled = run(&bed, asked(Some("own-1"), Shown::Key(Secret::new(vec![1; 32]))), off).await.unwrap();
    assert_eq!((disabled.foreseen, stop(&disabled).0), (Foreseen::Disabled, "status"));
    // What could not be written cannot be rehearsed.
    bed.enroll_group("certified", json!({"attestation": signers(&ca.der)})).await;
    let twice = json!({"enrollmentGroupId": "again", "attestation": signers(&ca.der)});
    let nameless = json!({"attestation": keys});
    for (proposed, code) in [(twice, ErrorCode::CertificateInUse), (nameless, ErrorCode::ArgumentInvalid)] {
        let proposed = Some(Proposed::Group(input(&proposed)));
        assert_eq!(run(&bed, asked(None, chain(&[&leaf])), proposed).await.err().unwrap().code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn webhook_is_asked_only_where_that_is_asked_for() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let custom = |body: Value| {
        let definition =
            json!({"webhookUrl": "https://f.example/api?code=s3cret", "apiVersion": "2021-10-01"});
        with(with(body, "allocationPolicy", json!("custom")), "customAllocationDefinition", definition)
    };
    let key = primary(&bed.enroll("dev-1", custom(symmetric())).await);
    bed.hubs.answer(|_| Ok(WebhookAnswer { hub: Some(B.into()), ..WebhookAnswer::default() }));
    let ask = |asks_webhook| Asked { asks_webhook, ..asked(Some("dev-1"), Shown::Key(key.clone())) };
    let open = run(&bed, ask(false), None).await.unwrap();
    assert_eq!((open.foreseen, &open.hub), (Foreseen::WebhookAsked, &None));
    let (name, result, detail) = stop(&open);
    assert_eq!((name, result), ("allocate", StepResult::Open));
    assert!(detail.contains("f.example") && !detail.contains("s3cret"), "{detail}");
    assert!(bed.hubs.asked().is_empty());
    let answered = run(&bed, ask(true), None).await.unwrap();
    assert_eq!((answered.foreseen, answered.hub.as_deref()), (Foreseen::Assigned, Some(B)));
    assert_eq!(bed.hubs.asked().len(), 1);
    bed.hubs.answer(|_| Ok(WebhookAnswer { hub: Some("other.example".into()), ..WebhookAnswer::default() }));
    let failed = run(&bed, ask(true), None).await.unwrap();
    assert_eq!((failed.foreseen, stop(&failed).0), (Foreseen::Failed, "allocate"));
    assert_eq!(failed.error.unwrap().code, ErrorCode::CustomAllocationFailed);
    assert!(bed.hubs.names().is_empty() && bed.document("dev-1").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn device_that_is_on_a_hub_is_foreseen_to_stay_or_move_with_its_twin() {
    let bed = Bed::with_hubs(&[A, B]).await;
    let policy =
        |update: bool, migrate: bool| json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
    let body = |hub: &str, policy: Value| {
        let body = with(symmetric(), "iotHubs", json!([hub]));
        with(body, "reprovisionPolicy", policy)
    };
    let key = primary(&bed.enroll("dev-1", body(A, policy(true, true))).await);
    bed.provision(&Device::keyed("dev-1", key.clone())).await;
    let before = everything(&bed.store).await;
    for (proposed, hub, twin) in [
        (body(A, policy(true, true)), A, "kept"),
        (body(B, policy(true, true)), B, "carried"),
        (body(B, policy(true, false)), B, "reset"),
        (body(B, policy(false, false)), A, "kept"),
    ] {
        let proposed = Some(Proposed::Individual(input(&with(proposed, "registrationId", json!("dev-1")))));
        let rehearsal = run(&bed, asked(Some("dev-1"), Shown::Key(key.clone())), proposed).await.unwrap();
        assert_eq!(
            (rehearsal.hub.as_deref(), rehearsal.twin),
            (Some(hub), Some(twin)),
            "{}",
            rehearsal.summary
        );
    }
    assert_eq!(before, everything(&bed.store).await);
    assert_eq!(bed.hubs.puts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn evidence_that_cannot_be_read_is_refused_before_anything_is_tried() {
    let error = |shown: Result<Shown, Error>| shown.err().unwrap();
    for (shown, said) in [
        (Shown::certificates([]), "empty"),
        (Shown::certificates(["nonsense!"]), "evidence.certificateChain[0]"),
        (Shown::certificates(["-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"]), "private key"),
        (Shown::key("short"), "evidence.symmetricKey"),
    ] {
        let error = error(shown);
        assert_eq!(error.code, ErrorCode::ArgumentInvalid);
        assert!(error.message.contains(said), "{}", error.message);
    }
    let der = text(&self_signed("x"));
    let many: Vec<&str> = std::iter::repeat_n(der.as_str(), 11).collect();
    assert!(error(Shown::certificates(many)).message.contains("more than 10"));
}
