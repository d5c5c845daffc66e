//! JSON bodies of devices and of service clients. What is refused is refused with a sentence that names no value; what
//! is taken is shown again without its keys.
#![no_main]

use dps_attestation::{EnrollmentKind, mechanism};
use dps_model::ErrorCode;
use dps_model::enrollment::EnrollmentInput;
use dps_model::limits::MAX_BODY;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if body.len() > MAX_BODY {
        return; // the fronts refuse it unread
    }
    match dps_device_api::json::registration(body) {
        Ok(registration) => {
            let payload = registration.payload.as_ref().map(|payload| payload.get());
            if let Some(payload) = payload {
                // Whoever hands the payload on may read it.
                let _: serde_json::Value =
                    serde_json::from_str(payload).expect("a payload that was taken is JSON");
            }
        }
        Err(error) => assert!(matches!(error.code, ErrorCode::BodyMalformed) && !error.message.is_empty()),
    }
    let Ok(input) = dps_service_api::json::read::<EnrollmentInput>(body) else { return };
    let Some(attestation) = &input.attestation else { return };
    for kind in [EnrollmentKind::Individual, EnrollmentKind::Group] {
        match mechanism::read(attestation, kind) {
            Ok(mechanism) => {
                let shown = mechanism.public_json().to_string();
                assert!(!shown.contains("primaryKey") && !shown.contains("BEGIN"));
                let kept = dps_model::attestation::Mechanism::from_material(&mechanism.to_material());
                assert!(kept.is_ok_and(|kept| kept == mechanism));
            }
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
});
