//! Enrollments as clients write them, through all rules to the store and back. What is refused is a 4xx with a sentence;
//! what is taken is shown without its keys, and writing back what is shown changes nothing.
#![no_main]

use std::sync::{Arc, LazyLock};

use dps_core::Enrollments;
use dps_core::enrollment::group_lane::GroupLane;
use dps_core::enrollment::{BulkMode, Enrolled, KeyRings};
use dps_core::ports::{Store, SystemClock};
use dps_model::enrollment::{
    AllocationPolicy, EnrollmentGroup, EnrollmentInput, IndividualEnrollment, Keys, PlainWebhooks,
};
use dps_model::etag::IfMatch;
use dps_model::instance::{Instance, Resource};
use dps_model::limits::MAX_BODY;
use dps_model::network::NetworkAccess;
use dps_model::{Etag, IdScope};
use dps_service_api::query::{Query, Rows};
use dps_store::MemoryStore;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
static LANE: LazyLock<Arc<GroupLane>> = LazyLock::new(|| Arc::new(GroupLane::start().expect("a thread")));

fuzz_target!(|body: &[u8]| {
    if body.len() > MAX_BODY {
        return; // the front refuses it unread
    }
    RUNTIME.block_on(async {
        written::<IndividualEnrollment>(body, Rows::Enrollments).await;
        written::<EnrollmentGroup>(body, Rows::EnrollmentGroups).await;
    });
});

fn read(body: &[u8]) -> Option<EnrollmentInput> {
    dps_service_api::json::read(body).ok()
}

async fn written<E: Enrolled>(body: &[u8], rows: Rows) {
    let (Some(input), Some(again)) = (read(body), read(body)) else { return };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let rings = Arc::new(KeyRings::new(Arc::clone(&store)));
    let core = Enrollments::new(store, Arc::new(SystemClock::new()), rings, Arc::clone(&LANE))
        .with_plain_webhooks(PlainWebhooks::Loopback);
    let instance = instance();
    let id = E::id_of(&input).unwrap_or("device-1").to_owned();
    let made = match core.put::<E>(&instance, &id, input, None).await {
        Err(error) => {
            assert!((400..500).contains(&error.code.status()), "{error}");
            assert!(!error.message.is_empty());
            return;
        }
        Ok(made) => made.value,
    };
    assert!(made.shown(Keys::Shown).is_object());
    let shown = made.shown(Keys::Hidden);
    // A user may call a tag so; nowhere else may a key stand.
    assert!(!shown["attestation"].to_string().contains("\"primaryKey\""));
    assert!(
        Query::parse("SELECT * WHERE attestation.type <> 'none'", rows)
            .is_ok_and(|query| query.matches(&shown))
    );

    let echo =
        dps_service_api::json::read_value(shown.clone(), "echo").expect("what is shown is an enrollment");
    let updated =
        core.put::<E>(&instance, &id, echo, Some(IfMatch::Any)).await.expect("an echo is taken").value;
    assert!(updated.attestation() == made.attestation());
    let stampless = |mut value: serde_json::Value| {
        for member in ["etag", "lastUpdatedDateTimeUtc"] {
            value.as_object_mut().expect("an object").remove(member);
        }
        value
    };
    assert_eq!(stampless(updated.shown(Keys::Hidden)), stampless(shown));

    // The same as an item of a bulk operation: it exists already, or names no id.
    let refused = core.bulk_item::<E>(&instance, BulkMode::Create, again).await.expect_err("it exists");
    assert!((400..500).contains(&refused.code.status()));
}

fn instance() -> Instance {
    Instance {
        name: "muster".into(),
        id_scope: IdScope::parse("0ne00ABCDEF").expect("a legal id scope"),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: Vec::new(),
        certificates: Vec::new(),
        network: NetworkAccess::default(),
        disable_local_auth: false,
        resource_id: String::new(),
        location: String::new(),
        resource: Resource::default(),
        rows: None,
        etag: Etag::fresh(),
    }
}
