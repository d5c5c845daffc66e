//! The topics and user names as the SDKs send them, hostile ones, and round trips.

use dps_wire::mqtt::topic::dps::{self, Request, Response};
use dps_wire::mqtt::topic::hub::{self, DeviceTopic, HubTopic, Property, PropertyBag};
use dps_wire::mqtt::topic::{TopicError, filter_matches};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const UUID: &str = "2b0d4a3e-8c3a-4f86-9a0d-111111111111";
const OPERATION: &str = "4.0bdadb0c47c2d6b4.8691587a-efbd-49fa-8ed3-0f824de11e16";

#[test]
fn requests_of_the_sdks_are_parsed() {
    for (topic, expected) in [
        (
            format!("$dps/registrations/PUT/iotdps-register/?$rid={UUID}"),
            Request::Register { rid: UUID.to_owned() },
        ),
        (
            format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3&operationId={OPERATION}"),
            Request::OperationStatus { rid: "3".to_owned(), operation_id: OPERATION.to_owned() },
        ),
        (
            format!("$dps/registrations/GET/iotdps-get-operationstatus/?operationId={OPERATION}&$rid=3"),
            Request::OperationStatus { rid: "3".to_owned(), operation_id: OPERATION.to_owned() },
        ),
        (
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%41&operationId=4%2e0&later=x"
                .to_owned(),
            Request::OperationStatus { rid: "%41".to_owned(), operation_id: "4.0".to_owned() },
        ),
    ] {
        assert_eq!(Request::parse(&topic), Ok(expected), "{topic}");
    }
}

#[test]
fn request_topics_that_are_wrong_are_refused_with_their_place() {
    let expected = match Request::parse("x") {
        Err(TopicError::Unexpected { at: 0, expected }) => expected,
        other => panic!("{other:?}"),
    };
    let (part, missing) = ("operationId", |part| TopicError::Missing { part, expected });
    let register = "$dps/registrations/PUT/iotdps-register/?";
    let status = "$dps/registrations/GET/iotdps-get-operationstatus/?";
    for (topic, error) in [
        ("$dps/registrations/res/202/?$rid=1".to_owned(), TopicError::Unexpected { at: 19, expected }),
        ("$dps/registrations/PUT/iotdps-register?$rid=1".into(), TopicError::Unexpected { at: 19, expected }),
        ("$dps/registrations/GET/iotdps-x/?$rid=1".into(), TopicError::Unexpected { at: 30, expected }),
        (register.to_owned(), missing("$rid")),
        (format!("{register}rid=1"), missing("$rid")),
        (format!("{register}$rid="), TopicError::Empty { part: "$rid", at: 45 }),
        (format!("{register}$rid=1&$rid=2"), TopicError::Duplicate { part: "$rid", at: 47 }),
        (
            format!("{register}$rid={}", "x".repeat(257)),
            TopicError::TooLong { part: "$rid", length: 257, limit: 256 },
        ),
        (
            format!("{register}$rid=1{}", "&a=b".repeat(16)),
            TopicError::TooMany { part: "the query", limit: 16 },
        ),
        (format!("{status}$rid=1"), missing(part)),
        (format!("{status}$rid=1&operationId="), TopicError::Empty { part, at: 70 }),
        (format!("{status}$rid=1&operationId=a%2"), TopicError::BadEncoding { part, at: 71 }),
        (format!("{status}$rid=1&operationId=%ff"), TopicError::BadEncoding { part, at: 70 }),
        (
            format!("{status}$rid=1&operationId={}", "x".repeat(257)),
            TopicError::TooLong { part, length: 257, limit: 256 },
        ),
    ] {
        assert_eq!(Request::parse(&topic), Err(error), "{topic}");
    }
}

#[test]
fn response_topic_is_the_one_that_every_sdk_parses() {
    let response = |status, retry_after| Response { status, rid: UUID.to_owned(), retry_after };
    let plain = response(200, None).topic().expect("legal");
    assert_eq!(plain, format!("$dps/registrations/res/200/?$rid={UUID}"));
    let waiting = response(202, Some(3)).topic().expect("legal");
    assert_eq!(waiting, format!("$dps/registrations/res/202/?$rid={UUID}&retry-after=3"));
    // The Python SDK splits at `$`, and the third piece must be the query.
    assert_eq!(waiting.split('$').count(), 3);
    assert!(filter_matches(dps::SUBSCRIBE_FILTER, &waiting));
    let forbidden = Response { status: 200, rid: "a#".to_owned(), retry_after: None };
    assert_eq!(forbidden.topic(), Err(TopicError::ForbiddenCharacter { part: "$rid", at: 1 }));
}

#[test]
fn response_topic_is_parsed_in_any_order() {
    let expected = Response { status: 202, rid: "1".to_owned(), retry_after: Some(3) };
    for query in ["$rid=1&retry-after=3", "retry-after=3&$rid=1", "x=y&$rid=1&&retry-after=3"] {
        let topic = format!("$dps/registrations/res/202/?{query}");
        assert_eq!(Response::parse(&topic).as_ref(), Ok(&expected), "{topic}");
    }
    for (topic, error) in [
        ("$dps/registrations/res/2x2/?$rid=1", TopicError::NotANumber { part: "the status", at: 23 }),
        ("$dps/registrations/res/99999/?$rid=1", TopicError::NotANumber { part: "the status", at: 23 }),
        (
            "$dps/registrations/res/202/?$rid=1&retry-after=-3",
            TopicError::NotANumber { part: "retry-after", at: 47 },
        ),
    ] {
        assert_eq!(Response::parse(topic), Err(error), "{topic}");
    }
}

#[test]
fn dps_user_names_of_the_sdks_are_parsed() {
    let some = |text: &str| Some(text.to_owned());
    for (tail, version, client) in [
        (
            "/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%283.11.7%3BLinux%29",
            some("2019-03-31"),
            some("azure-iot-device-provisioning-py/2.14.0(3.11.7;Linux)"),
        ),
        ("/api-version=2021-06-01&ClientVersion=1.15.0", some("2021-06-01"), some("1.15.0")),
        ("/api-version=2019-03-31", some("2019-03-31"), None),
        ("/?api-version=2019-03-31", some("2019-03-31"), None),
        ("/ClientVersion=bad%zz%ff", None, some("bad%zz\u{fffd}")),
        ("/api-version=", None, None),
        ("/", None, None),
        ("", None, None),
    ] {
        let text = format!("0ne00ABCDEF/registrations/my.dev_01%3Aa-b{tail}");
        assert!(dps::UserName::is_dps(&text));
        let expected = dps::UserName {
            id_scope: "0ne00ABCDEF".to_owned(),
            registration_id: "my.dev_01:a-b".to_owned(),
            registration_id_raw: "my.dev_01%3Aa-b".to_owned(),
            api_version: version,
            client_version: client,
        };
        assert_eq!(dps::UserName::parse(&text), Ok(expected), "{text}");
    }
}

#[test]
fn dps_user_names_that_are_wrong_are_refused() {
    for (text, at_or_part) in [
        ("", "byte 0"),
        ("scope", "byte 5"),
        ("hub.example/d1/?api-version=2019-10-01", "byte 12"),
        ("/registrations/r/api-version=x", "the ID scope"),
        ("s/registrations//api-version=x", "the registration id"),
        ("s/registrations/%/api-version=x", "the registration id"),
        ("s/registrations/r/api-version=x&api-version=y", "api-version"),
        (&"x".repeat(4097), "the user name"),
    ] {
        let error = dps::UserName::parse(text).expect_err(text).to_string();
        assert!(error.contains(at_or_part), "{text}: {error}");
    }
    assert!(!dps::UserName::is_dps("hub.example/d1/?api-version=2019-10-01"));
}

#[test]
fn dps_user_name_of_a_client_is_written_as_the_sdks_do() {
    let mut user_name = dps::UserName::new("0ne1", "dev:1", "2019-03-31");
    assert_eq!(user_name.to_string(), "0ne1/registrations/dev:1/api-version=2019-03-31");
    user_name.client_version = Some("muster/0.1".to_owned());
    let text = user_name.to_string();
    assert_eq!(text, "0ne1/registrations/dev:1/api-version=2019-03-31&ClientVersion=muster%2F0.1");
    assert_eq!(dps::UserName::parse(&text), Ok(user_name));
}

fn bag(pairs: &[(&str, Option<&str>)]) -> PropertyBag {
    let property = |(key, value): &(&str, Option<&str>)| Property {
        key: (*key).to_owned(),
        value: value.map(ToOwned::to_owned),
    };
    PropertyBag(pairs.iter().map(property).collect())
}

#[test]
fn device_topics_of_the_sdks_round_trip() {
    let telemetry = |module_id: Option<&str>, properties| DeviceTopic::Telemetry {
        device_id: "d 1%".to_owned(),
        module_id: module_id.map(ToOwned::to_owned),
        properties,
    };
    let properties = bag(&[("$.mid", Some("m1")), ("$.ct", Some("application/json")), ("a b", Some("c/d"))]);
    for (topic, expected) in [
        (
            "devices/d 1%/messages/events/%24.mid=m1&%24.ct=application%2Fjson&a%20b=c%2Fd",
            telemetry(None, properties.clone()),
        ),
        ("devices/d 1%/modules/m/messages/events/", telemetry(Some("m"), bag(&[]))),
        (
            "devices/d 1%/messages/events/lone&empty=",
            telemetry(None, bag(&[("lone", None), ("empty", Some(""))])),
        ),
        ("$iothub/twin/GET/?$rid=u-1", DeviceTopic::TwinGet { rid: "u-1".to_owned() }),
        ("$iothub/twin/PATCH/properties/reported/?$rid=7", DeviceTopic::TwinReported { rid: "7".to_owned() }),
        ("$iothub/methods/res/-2/?$rid=7", DeviceTopic::MethodResponse { status: -2, rid: "7".to_owned() }),
    ] {
        assert_eq!(DeviceTopic::parse(topic).as_ref(), Ok(&expected), "{topic}");
        assert_eq!(expected.topic().as_deref(), Ok(topic));
    }
    let slashless = DeviceTopic::parse("devices/d 1%/messages/events");
    assert_eq!(slashless, Ok(telemetry(None, bag(&[]))));
    let questioned = DeviceTopic::parse("devices/d 1%/messages/events/?a=b");
    assert_eq!(questioned, Ok(telemetry(None, bag(&[("a", Some("b"))]))));
    assert_eq!(properties.get("$.ct"), Some("application/json"));
    assert_eq!(properties.get("none"), None);
}

#[test]
fn hub_topics_round_trip_and_fall_under_their_filters() {
    let device_id = || "d1".to_owned();
    for (topic, expected, filter) in [
        (
            "devices/d1/messages/devicebound/%24.mid=abc&%24.to=%2Fdevices%2Fd1&k=v%201",
            HubTopic::CloudToDevice {
                device_id: device_id(),
                properties: bag(&[("$.mid", Some("abc")), ("$.to", Some("/devices/d1")), ("k", Some("v 1"))]),
            },
            hub::devicebound_filter("d1"),
        ),
        (
            "devices/d1/modules/m/inputs/in1/k=v",
            HubTopic::ModuleInput {
                device_id: device_id(),
                module_id: "m".to_owned(),
                input: "in1".to_owned(),
                properties: bag(&[("k", Some("v"))]),
            },
            hub::module_inputs_filter("d1", "m"),
        ),
        (
            "$iothub/twin/res/200/?$rid=5",
            HubTopic::TwinResponse { status: 200, rid: "5".to_owned(), version: None },
            hub::TWIN_RESPONSES.to_owned(),
        ),
        (
            "$iothub/twin/res/204/?$rid=5&$version=8",
            HubTopic::TwinResponse { status: 204, rid: "5".to_owned(), version: Some(8) },
            hub::TWIN_RESPONSES.to_owned(),
        ),
        (
            "$iothub/twin/PATCH/properties/desired/?$version=5",
            HubTopic::TwinDesired { version: 5 },
            hub::TWIN_DESIRED.to_owned(),
        ),
        (
            "$iothub/methods/POST/reboot/?$rid=1",
            HubTopic::Method { name: "reboot".to_owned(), rid: "1".to_owned() },
            hub::METHODS.to_owned(),
        ),
    ] {
        assert_eq!(HubTopic::parse(topic).as_ref(), Ok(&expected), "{topic}");
        assert_eq!(expected.topic().as_deref(), Ok(topic));
        assert!(filter_matches(&filter, topic), "{filter} against {topic}");
    }
}

#[test]
fn hub_topics_that_are_wrong_are_refused() {
    for topic in [
        "",
        "devices",
        "devices//messages/events/",
        "devices/d/messages/eventsX/",
        "devices/d/modules//messages/events/",
        "devices/d/messages/events/a=%2",
        "devices/d/messages/events/=v",
        "$iothub/twin/GET/?$rid=",
        "$iothub/twin/GET/?rid=1",
        "$iothub/twin/GET/$rid=1",
        "$iothub/methods/res/x/?$rid=1",
        "$iothub/methods/res/--1/?$rid=1",
        "$iothub/methods/res/4294967296/?$rid=1",
        "$iothub/methods/res/3000000000/?$rid=1",
    ] {
        DeviceTopic::parse(topic).expect_err(topic);
    }
    let many = format!("devices/d/messages/events/{}", "a=b&".repeat(129));
    let error = TopicError::TooMany { part: "the property bag", limit: 128 };
    assert_eq!(DeviceTopic::parse(&many), Err(error));
    for topic in
        ["$iothub/methods/POST//?$rid=1", "$iothub/twin/PATCH/properties/desired/?$version=x", "devices/d/x"]
    {
        HubTopic::parse(topic).expect_err(topic);
    }
    let slash = HubTopic::Method { name: "a/b".to_owned(), rid: "1".to_owned() };
    assert!(slash.topic().is_err());
}

#[test]
fn hub_user_names_of_the_sdks_are_parsed() {
    for (text, device, module, version, client, model) in [
        (
            "localhost/d1/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0",
            "d1",
            None,
            Some("2019-10-01"),
            Some("azure-iot-device-iothub-py/2.14.0"),
            None,
        ),
        (
            "localhost/d1/m1/?api-version=2020-09-30&DeviceClientType=x&model-id=dtmi%3Acom%3Ax%3B1",
            "d1",
            Some("m1"),
            Some("2020-09-30"),
            Some("x"),
            Some("dtmi:com:x;1"),
        ),
        ("localhost/d1/api-version=2016-11-14", "d1", None, Some("2016-11-14"), None, None),
        ("localhost/d1", "d1", None, None, None, None),
        ("localhost/d1/", "d1", None, None, None, None),
        ("localhost/d1/m1", "d1", Some("m1"), None, None, None),
        ("localhost/registrations/?api-version=1", "registrations", None, Some("1"), None, None),
        ("localhost/what?/?api-version=1", "what?", None, Some("1"), None, None),
    ] {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let expected = hub::UserName {
            hub_host: "localhost".to_owned(),
            device_id: device.to_owned(),
            module_id: owned(module),
            api_version: owned(version),
            device_client_type: owned(client),
            model_id: owned(model),
        };
        assert_eq!(hub::UserName::parse(text).as_ref(), Ok(&expected), "{text}");
        assert_eq!(hub::UserName::parse(&expected.to_string()), Ok(expected), "{text}");
    }
    for text in ["", "localhost", "/d1", "localhost/", "localhost//m", "h/d/m/x/?api-version=1"] {
        hub::UserName::parse(text).expect_err(text);
    }
}

#[test]
fn sentences_say_how_to_mend() {
    let error = Request::parse("$dps/registrations/PUT/iotdps-register/?$rid=").expect_err("no rid");
    assert_eq!(error.to_string(), "$rid is empty at byte 45: give it a value");
    let error = dps::UserName::parse("scope").expect_err("no registration id");
    assert_eq!(
        error.to_string(),
        "from byte 5 on, the text is not one that is served here: write \
         {idScope}/registrations/{registrationId}/api-version={version}"
    );
}

fn rid() -> impl Strategy<Value = String> {
    "[^\\x00+#&]{1,40}"
}

proptest! {
    #[test]
    fn requests_and_responses_round_trip(
        rid in rid(), operation_id in ".{1,60}", status in any::<u16>(), retry_after in option::of(any::<u32>()),
    ) {
        let register = Request::Register { rid: rid.clone() };
        prop_assert_eq!(Request::parse(&register.topic().unwrap()), Ok(register));
        let poll = Request::OperationStatus { rid: rid.clone(), operation_id };
        prop_assert_eq!(Request::parse(&poll.topic().unwrap()), Ok(poll));
        // Whatever `$rid` a request brought, a response can carry.
        let response = Response { status, rid, retry_after };
        prop_assert_eq!(Response::parse(&response.topic().unwrap()), Ok(response));
    }

    #[test]
    fn property_bags_round_trip(
        pairs in vec((".{1,20}", option::of(".{0,20}")), 0..20), device_id in "[A-Za-z0-9._:%!?=@$-]{1,20}",
    ) {
        let properties = PropertyBag(pairs.into_iter().map(|(key, value)| Property { key, value }).collect());
        let sent = DeviceTopic::Telemetry { device_id: device_id.clone(), module_id: None, properties: properties.clone() };
        prop_assert_eq!(DeviceTopic::parse(&sent.topic().unwrap()), Ok(sent));
        let received = HubTopic::CloudToDevice { device_id, properties };
        prop_assert_eq!(HubTopic::parse(&received.topic().unwrap()), Ok(received));
    }
}
