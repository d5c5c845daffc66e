//! One instance with its policies, and calls to it.

use dps_access::{Call, Caller, DataAction};
use dps_model::enrollment::AllocationPolicy;
use dps_model::instance::{AccessPolicy, Instance, Right};
use dps_model::{Error, ErrorCode, IdScope, Secret, Timestamp};

pub const NOW: i64 = 1_700_000_000;
pub const RESOURCE_ID: &str =
    "/subscriptions/s1/resourceGroups/g1/providers/Microsoft.Devices/provisioningServices/muster";

pub fn key(byte: u8) -> Secret {
    Secret::new(vec![byte; 32])
}

pub fn policy(name: &str, keys: [Secret; 2], rights: &[Right]) -> AccessPolicy {
    let [primary, secondary] = keys;
    AccessPolicy { name: name.into(), primary, secondary, rights: rights.to_vec() }
}

pub fn instance() -> Instance {
    let owner = [Right::ServiceConfig, Right::DeviceConnect, Right::EnrollmentWrite];
    Instance {
        name: "muster".into(),
        id_scope: IdScope::parse("0ne00ABCDEF").unwrap(),
        allocation_policy: AllocationPolicy::Hashed,
        linked_hubs: Vec::new(),
        access_policies: vec![
            policy("provisioningserviceowner", [key(1), key(2)], &owner),
            policy("reader", [key(3), key(4)], &[Right::EnrollmentRead]),
            policy("keyless", [Secret::new(Vec::new()), key(5)], &owner),
        ],
        resource_id: RESOURCE_ID.into(),
        location: String::new(),
        certificates: Vec::new(),
        network: dps_model::network::NetworkAccess::default(),
        disable_local_auth: false,
        resource: dps_model::instance::Resource::default(),
        rows: None,
        etag: dps_model::Etag::fresh(),
    }
}

pub fn call<'a>(token: &'a str, host: &'a str) -> Call<'a> {
    Call {
        authorization: Some(token),
        host,
        path: "/enrollments/dev-1",
        peer: [192, 0, 2, 7].into(),
        needed: Right::EnrollmentWrite,
        data_action: DataAction::EnrollmentsWrite,
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// The stable code of a refusal, after a look at what the client may see of it.
#[track_caller]
pub fn refused(result: Result<Caller, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.message.as_ref()), (ErrorCode::Unauthorized, "Unauthorized"));
    assert!(error.info.is_empty());
    let cause = error.cause.unwrap();
    cause.split(':').next().unwrap().to_owned()
}
