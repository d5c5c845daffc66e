//! Continuation tokens as a client sends them. One that is read is the very one that its query gives out; what a query
//! gives out reads back, and no other query takes it.
#![no_main]

use dps_model::ErrorCode;
use dps_service_api::continuation::Bound;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let bound = Bound { instance: "muster", item_type: "Enrollment", owner: "", query: "SELECT *" };
    match bound.read(text) {
        Ok(after) => assert_eq!(bound.token(&after), text),
        Err(error) => assert!(error.code == ErrorCode::ArgumentInvalid && !error.message.is_empty()),
    }
    // Ids have at most 128 characters of ASCII.
    if text.len() <= 128 {
        let token = bound.token(text);
        assert_eq!(bound.read(&token).expect("our own token"), text);
        let others = [
            Bound { instance: text, ..bound },
            Bound { item_type: "EnrollmentGroup", ..bound },
            Bound { owner: text, ..bound },
            Bound { query: text, ..bound },
        ];
        for other in others {
            let same = (other.instance, other.item_type, other.owner, other.query)
                == (bound.instance, bound.item_type, bound.owner, bound.query);
            assert_eq!(other.read(&token).is_ok(), same);
        }
    }
});
