//! What is understood, what it means, and what the refusals say.

use dps_model::attestation::{CaReferences, Certificate, Certificates, Mechanism, X509CertificateInfo};
use dps_model::enrollment::{
    AllocationPolicy, CustomAllocationDefinition, DeviceCapabilities, EnrollmentGroup, EnrollmentSettings,
    IndividualEnrollment, InitialTwin, InitialTwinProperties, Keys, ProvisioningStatus, ReprovisionPolicy,
    Stamp,
};
use dps_model::registration::{DeviceRegistrationResult, Status, Substatus, TpmKeys};
use dps_model::{DeviceId, EnrollmentGroupId, Etag, HubName, RegistrationId, Timestamp};
use serde_json::{Value, json};

use super::{Query, Rows};

fn row() -> Value {
    json!({
        "registrationId": "Dev-1",
        "deviceId": "machine",
        "attestation": { "type": "x509", "x509": { "clientCertificates": { "primary": { "info": {
            "subjectName": "CN=dev-1", "sha256Thumbprint": "AB12", "version": 3,
            "notAfterUtc": "2027-01-01T00:00:00.0000000Z" } } } } },
        "initialTwin": {
            "tags": { "floor": 3, "site": "o'hara", "a b": true, "none": null, "big": 9_007_199_254_740_993_i64,
                      "list": [1, "two", null, {"x": 1}] },
            "properties": { "desired": {} } },
        "provisioningStatus": "enabled",
        "capabilities": { "iotEdge": true },
        "iotHubs": ["Hub-A.example", "hub-b.example"],
        "etag": "IjEi",
        "createdDateTimeUtc": "2026-11-28T12:00:00.0000000Z"
    })
}

#[track_caller]
fn holds(condition: &str) -> bool {
    match Query::parse(&format!("SELECT * FROM enrollments e WHERE {condition}"), Rows::Enrollments) {
        Ok(query) => query.matches(&row()),
        Err(error) => panic!("{condition}: {error}"),
    }
}

fn why(text: &str) -> String {
    match Query::parse(text, Rows::Enrollments) {
        Ok(query) => format!("understood: {query}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn query_texts_of_the_sdks_ask_for_everything() {
    for text in [
        "",
        "  ",
        "*",
        ";",
        "SELECT *",
        "select *",
        "SELECT * FROM enrollments",
        "SELECT * FROM enrollmentGroups",
        "select * from Enrollments;",
        "SELECT * FROM devices",
        "SELECT * FROM registrations",
        "SELECT\n*\nFROM c AS d",
    ] {
        for rows in [Rows::Enrollments, Rows::EnrollmentGroups, Rows::Registrations] {
            assert!(Query::parse(text, rows).is_ok_and(|query| query.takes_all()), "{text}");
        }
    }
}

#[test]
fn condition_comparisons_true_or_false_of_a_row() {
    for (condition, expected) in [
        ("registrationId = 'DEV-1'", true),
        ("deviceId = 'MACHINE'", false),
        ("enrollments.deviceId = \"machine\"", true),
        ("e.deviceId <> 'machine'", false),
        ("E['deviceId'] != 'x'", true),
        ("initialTwin.tags.floor > 2 AND initialTwin.tags.floor <= 3.0", true),
        ("initialTwin.tags.floor = '3'", false),
        ("initialTwin.tags.floor <> '3'", true),
        ("initialTwin.tags.floor < '9'", false),
        ("3 = initialTwin.tags.floor", true),
        ("initialTwin.tags.big = 9007199254740992", false),
        ("initialTwin.tags.big = 9007199254740993", true),
        ("initialTwin.tags.big > 1e3", true),
        ("initialTwin.tags.site = 'o''hara'", true),
        ("initialTwin.tags.site = \"o'hara\"", true),
        ("initialTwin.tags['a b']", true),
        ("initialTwin.tags['a b'] = true", true),
        ("initialTwin.tags[\"a b\"] = false", false),
        ("initialTwin.tags.list[1] = 'two'", true),
        ("initialTwin.tags.list[3].x = 1", true),
        ("initialTwin.tags.list[9] = null", true),
        ("initialTwin.tags.list = initialTwin.tags.list", false),
        ("initialTwin.tags.Floor = 3", false),
        ("capabilities.iotEdge", true),
        ("NOT capabilities.iotEdge", false),
        ("iotHubs[0] = 'hub-a.EXAMPLE'", true),
        ("true", true),
        ("false OR TRUE", true),
        ("deviceId = registrationId", false),
        ("attestation.x509.clientCertificates.primary.info.sha256Thumbprint = 'ab12'", true),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn condition_on_what_is_absent_treats_it_as_null() {
    for (condition, expected) in [
        ("initialTwin.tags.none = null", true),
        ("allocationPolicy = null", true),
        ("allocationPolicy <> 'static'", true),
        ("NOT allocationPolicy = 'static'", true),
        ("allocationPolicy < 'static'", false),
        ("NOT allocationPolicy < 'static'", true),
        ("provisioningStatus <> null", true),
        ("null = null", true),
        ("null <= null", false),
        ("IS_DEFINED(allocationPolicy)", false),
        ("is_defined(initialTwin.tags.none)", true),
        ("IS_DEFINED(initialTwin.tags.list[4])", false),
        ("allocationPolicy IN ('static', null)", true),
        ("STARTSWITH(allocationPolicy, '')", false),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn condition_lists_texts_and_times_true_or_false_of_a_row() {
    for (condition, expected) in [
        ("registrationId IN ('a', 'dev-1')", true),
        ("registrationId NOT IN ('a', 'dev-1')", false),
        ("NOT registrationId IN ('a')", true),
        ("initialTwin.tags.floor IN (1, 2, 3)", true),
        ("STARTSWITH(registrationId, 'dEv')", true),
        ("STARTSWITH(deviceId, 'MAC')", false),
        ("STARTSWITH(deviceId, 'MAC', true)", true),
        ("ENDSWITH(deviceId, 'ine', false)", true),
        ("CONTAINS('a machine', 'mach')", true),
        ("CONTAINS(initialTwin.tags.floor, '3')", false),
        ("ARRAY_CONTAINS(iotHubs, 'HUB-B.example')", true),
        ("ARRAY_CONTAINS(initialTwin.tags.list, 'TWO')", false),
        ("ARRAY_CONTAINS(initialTwin.tags.list, 1)", true),
        ("ARRAY_CONTAINS(deviceId, 'machine')", false),
        ("createdDateTimeUtc > '2026-11-28'", true),
        ("createdDateTimeUtc = '2026-11-28T13:00:00+01:00'", true),
        ("'2026-11-28T12:00:00.0000001Z' <= createdDateTimeUtc", false),
        ("createdDateTimeUtc IN ('2026-11-28T12:00:00Z')", true),
        ("STARTSWITH(createdDateTimeUtc, '2026-11')", true),
        ("attestation.x509.clientCertificates.primary.info.notAfterUtc < '2027-06-01'", true),
        ("lastUpdatedDateTimeUtc = null", true),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn condition_and_binds_closer_than_or_and_not_closest() {
    for (condition, expected) in [
        ("true OR true AND false", true),
        ("(true OR true) AND false", false),
        ("NOT false AND false", false),
        ("NOT (false AND false)", true),
        ("NOT NOT true", true),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn query_printed_reads_back_the_same() {
    let text = "SELECT * WHERE (deviceId = 'a' OR initialTwin.tags['x y'][0].z >= -1500.5) AND NOT \
                (registrationId NOT IN ('it''s', null) OR STARTSWITH(deviceId, 'b', true)) AND \
                createdDateTimeUtc < '2026-11-28'";
    assert_eq!(Query::parse(text, Rows::Enrollments).unwrap().to_string(), text);
}

/// A fast and careless reading of decimals is off by the last bit for about one in ten of them.
#[test]
fn query_number_read_to_the_last_bit() {
    for number in ["-1.7969314742435888e-9", "11e23", "2.2e24", "6.934698245112694e276"] {
        let read = |text: &str| Query::parse(text, Rows::Enrollments).unwrap();
        let query = read(&format!("SELECT * WHERE initialTwin.tags.a = {number}"));
        assert_eq!(read(&query.to_string()), query, "{number}");
        let exact: f64 = number.parse().unwrap();
        assert!(query.matches(&json!({ "initialTwin": { "tags": { "a": exact } } })), "{number}");
    }
}

#[test]
fn refusal_names_the_character_what_is_wrong_and_what_to_write() {
    for (text, expected) in [
        (
            "SELECT * FROM enrollments ORDER BY etag",
            "at character 27 (\"ORDER\"): ORDER is not served. Leave ORDER BY out: rows come in the order of their ids.",
        ),
        (
            "SELECT TOP 5 *",
            "at character 8 (\"TOP\"): TOP is not served. Write SELECT * and send the header x-ms-max-item-count.",
        ),
        ("SELECT c.etag FROM c", "at character 8 (\"c\"): rows are given whole. Write SELECT *."),
        (
            "SELECT COUNT(1)",
            "at character 8 (\"COUNT\"): COUNT is not served. Write SELECT * and count on the client.",
        ),
        ("SELECT", "at character 7 (its end): rows are given whole. Write SELECT *."),
        (
            "DELETE *",
            "at character 1 (\"DELETE\"): a query begins with SELECT *. Write SELECT * WHERE condition.",
        ),
        ("SELECT * WHERE", "at character 15 (its end): a condition is expected."),
        (
            "SELECT * WHERE registrationID = 'a'",
            "at character 16 (\"registrationID\"): these rows have no member of this name. Write registrationId.",
        ),
        ("SELECT * WHERE colour = 'a'", "Write one of registrationId, deviceId, optionalDeviceInformation,"),
        (
            "SELECT * WHERE attestation.symmetricKey.primaryKey = 'a'",
            "at character 28 (\"symmetricKey\"): symmetric keys are not shown and cannot be asked about.",
        ),
        ("SELECT * WHERE registrationState.status = 'a'", "have no registrationState"),
        ("SELECT * WHERE attestation.typ = 'a'", "attestation has no member of this name. Write type."),
        ("SELECT * WHERE etag.x = 'a'", "etag has no members. Compare etag itself."),
        ("SELECT * WHERE etag[0] = 'a'", "etag is no list. Leave [0] out."),
        ("SELECT * WHERE iotHubs.a = 'a'", "iotHubs is a list."),
        (
            "SELECT * WHERE etag LIKE 'a%'",
            "at character 21 (\"LIKE\"): LIKE is not served. Write STARTSWITH,",
        ),
        ("SELECT * WHERE etag IS NULL", "IS is not served. Write path = null"),
        ("SELECT * WHERE etag BETWEEN 'a' AND 'b'", "BETWEEN is not served."),
        ("SELECT * WHERE LOWER(etag) = 'a'", "at character 16 (\"LOWER\"): LOWER is not served."),
        ("SELECT * WHERE START_WITH(etag, 'a')", "no function has this name. Write STARTSWITH."),
        ("SELECT * WHERE SQRT(1) = 1", "Write one of IS_DEFINED, STARTSWITH,"),
        ("SELECT * WHERE etag == 'a'", "at character 21 (\"==\"): == is no operator. Write =."),
        ("SELECT * WHERE etag = 'a' && true", "at character 27 (\"&\"): & is no operator. Write AND."),
        (
            "SELECT * WHERE etag = 'a",
            "at character 23 (\"'a\"): the text has no closing quote. End it with ';",
        ),
        ("SELECT * WHERE etag = 12x", "at character 23 (\"12x\"): this is no number."),
        ("SELECT * WHERE etag = a-b", "at character 24 (\"-b\"): this is no number."),
        ("SELECT * WHERE 'a'", "at character 16 (\"'a'\"): a value alone is no condition."),
        ("SELECT * WHERE etag = 'a' etag = 'b'", "at character 27 (\"etag\"): the condition has ended here."),
        ("SELECT * WHERE (etag = 'a'", "at character 27 (its end): ) is expected."),
        (
            "SELECT * WHERE createdDateTimeUtc > 'soon'",
            "at character 37 (\"'soon'\"): a time is expected here.",
        ),
        ("SELECT * WHERE createdDateTimeUtc > 5", "a time is expected here."),
        ("SELECT * WHERE etag IN ()", "at character 25 (\")\"): a value is expected."),
        ("SELECT * WHERE etag NOT 'a'", "IN is expected behind NOT."),
        ("SELECT * WHERE initialTwin.tags[-1] = 1", "no list has this place."),
        ("SELECT * WHERE initialTwin.tags. = 1", "a member is expected behind ."),
        ("SELECT * WERE etag = 'a'", "at character 10 (\"WERE\"): the query has ended here. Write WHERE."),
        ("SELECT * FROM WHERE", "at character 15 (\"WHERE\"): FROM has no name."),
        ("SELECT * FROM a b c", "at character 19 (\"c\"): the query has ended here."),
        ("é", "at character 1 (\"é\")"),
        ("SELECT * WHERE \u{1F600}", "at character 16 (\"\u{1F600}\"): this character has no meaning here."),
    ] {
        let why = why(text);
        assert!(why.contains(expected), "{text}\n{why}");
        assert!(why.starts_with("The query is not understood at character ") && !why.contains('\n'), "{why}");
    }
}

#[test]
fn refusal_of_what_is_too_long_too_deep_or_too_much() {
    let nested = format!("SELECT * WHERE {}true{}", "(".repeat(33), ")".repeat(33));
    assert!(why(&nested).contains("nested deeper than 32"));
    assert!(why(&format!("SELECT * WHERE {}true", "NOT ".repeat(33))).contains("nested deeper than 32"));
    let terms = format!("SELECT * WHERE true{}", " OR true".repeat(128));
    assert!(why(&terms).contains("more than 128 comparisons"), "{}", why(&terms));
    let list = format!("SELECT * WHERE etag IN (1{})", ",1".repeat(128));
    assert!(why(&list).contains("more than 128 values"));
    let path = format!("SELECT * WHERE initialTwin.tags{} = 1", ".a".repeat(40));
    assert!(why(&path).contains("more than 32 parts"));
    let long = why(&format!("SELECT * WHERE etag = '{}'", "x".repeat(9000)));
    assert!(long.contains("at most 8192") && long.len() < 400, "{long}");
    assert!(why(&format!("SELECT * WHERE {}", "x".repeat(8000))).len() < 600);
    assert!(!why(&format!("SELECT * WHERE {}true{}", "(".repeat(32), ")".repeat(32))).contains("deeper"));
}

#[test]
fn members_of_each_kind_of_rows_are_its_own() {
    for (text, rows, understood) in [
        ("SELECT * WHERE registrationId = 'a'", Rows::EnrollmentGroups, false),
        ("SELECT * WHERE enrollmentGroupId = 'a'", Rows::EnrollmentGroups, true),
        ("SELECT * WHERE enrollmentGroupId = 'a'", Rows::Enrollments, false),
        ("SELECT * WHERE status = 'assigned' AND assignedHub = 'a'", Rows::Registrations, true),
        ("SELECT * WHERE payload.a[0] = 1", Rows::Registrations, true),
        ("SELECT * WHERE attestation.type = 'x509'", Rows::Registrations, false),
    ] {
        assert_eq!(Query::parse(text, rows).is_ok(), understood, "{text}");
    }
}

/// Every path that the API shows may be asked about. Written out in full, so that a new member does not compile until
/// somebody has decided.
#[test]
fn member_of_every_shown_field() {
    for attestation in [Mechanism::SigningCertificates(certificates()), Mechanism::CaReferences(references())]
    {
        let group = EnrollmentGroup {
            enrollment_group_id: EnrollmentGroupId::parse("a").unwrap(),
            attestation,
            settings: settings(),
            stamp: Stamp::fresh(Timestamp::MAX),
        };
        ask("", &group.to_json(Keys::Hidden), Rows::EnrollmentGroups);
    }
    let tpm = TpmKeys { endorsement_key: "a".into(), storage_root_key: Some("b".into()) };
    for attestation in [Mechanism::ClientCertificates(certificates()), Mechanism::Tpm(tpm)] {
        let individual = IndividualEnrollment {
            registration_id: RegistrationId::parse("a").unwrap(),
            device_id: Some(DeviceId::parse("a").unwrap()),
            attestation,
            settings: settings(),
            optional_device_information: Some(serde_json::Map::new()),
            stamp: Stamp::fresh(Timestamp::MAX),
        };
        ask("", &individual.to_json(Keys::Hidden, None), Rows::Enrollments);
    }
    let registration = DeviceRegistrationResult {
        // Left out by the service API.
        tpm: None,
        x509: None,
        symmetric_key: None,
        registration_id: RegistrationId::parse("a").unwrap(),
        created_date_time_utc: Some(Timestamp::MAX),
        assigned_hub: Some(HubName::parse("a").unwrap()),
        device_id: Some(DeviceId::parse("a").unwrap()),
        status: Status::Assigned,
        substatus: Some(Substatus::InitialAssignment),
        error_code: Some(1),
        error_message: Some(String::new()),
        last_updated_date_time_utc: Some(Timestamp::MAX),
        etag: Some(Etag::fresh()),
        payload: Some(json!({ "a": 1 })),
    };
    ask("", &serde_json::to_value(registration).unwrap(), Rows::Registrations);
}

fn ask(path: &str, value: &Value, rows: Rows) {
    if let Value::Object(members) = value {
        members.iter().for_each(|(name, below)| ask(&format!("{path}.{name}"), below, rows));
    }
    let Some(path) = path.strip_prefix('.') else { return };
    let text = format!("SELECT * WHERE IS_DEFINED({path})");
    if let Err(error) = Query::parse(&text, rows) {
        panic!("{text}: {error}");
    }
}

fn certificates() -> Certificates {
    let info = X509CertificateInfo {
        subject_name: String::new(),
        sha1_thumbprint: String::new(),
        sha256_thumbprint: String::new(),
        issuer_name: String::new(),
        not_before_utc: Timestamp::MAX,
        not_after_utc: Timestamp::MAX,
        serial_number: String::new(),
        version: 3,
    };
    Certificates { primary: Certificate { der: Vec::new(), info }, secondary: None }
}

fn references() -> CaReferences {
    CaReferences { primary: Some("a".into()), secondary: Some("b".into()) }
}

fn settings() -> EnrollmentSettings {
    let desired = Some(serde_json::Map::new());
    EnrollmentSettings {
        capabilities: Some(DeviceCapabilities { iot_edge: true }),
        iot_hub_host_name: Some(HubName::parse("a").unwrap()),
        initial_twin: Some(InitialTwin {
            tags: Some(serde_json::Map::new()),
            properties: Some(InitialTwinProperties { desired }),
        }),
        provisioning_status: Some(ProvisioningStatus::Enabled),
        reprovision_policy: Some(ReprovisionPolicy::default()),
        allocation_policy: Some(AllocationPolicy::Custom),
        iot_hubs: Some(Vec::new()),
        custom_allocation_definition: Some(CustomAllocationDefinition {
            webhook_url: String::new(),
            api_version: String::new(),
        }),
        credential_policy_name: Some(String::new()),
    }
}
