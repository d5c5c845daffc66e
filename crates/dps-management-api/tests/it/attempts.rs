//! `attempts`: what the attempt log has, of whom, in what order, and what is wrong with a question.

use dps_events::{AttemptRecord, Event, Operation, Outcome};
use dps_model::{Channel, Error, ErrorCode, Protocol, Timestamp, TlsSession, TrackingId};
use serde_json::{Value, json};

use crate::bed::{Bed, DEFAULT, NOW, Reply, ask, service};

fn attempt(instance: Option<&str>, id: &str, second: i64, refused: bool) -> Event {
    let peer = "192.0.2.9:1".parse().unwrap();
    let channel = Channel { protocol: Protocol::Mqtt, peer, tls: TlsSession::default() };
    let time = Timestamp::from_millis((NOW + second) * 1_000);
    let mut record = AttemptRecord::open(TrackingId::fresh(), time, &channel, Operation::Register);
    record.instance = instance.map(str::to_owned);
    record.registration_id = id.into();
    record.micros = 1_500;
    let error = Error::new(ErrorCode::Unauthorized).because("the token is another's");
    record.outcome = if refused { Outcome::failed(&error) } else { Outcome::Success };
    Event::Attempt(Box::new(record))
}

async fn asked(bed: &Bed, of: &str, question: &str) -> Reply {
    let uri = format!("{of}/providers/Muster.Diagnosis/attempts?api-version=2026-11-01{question}");
    bed.call(ask("GET", "").uri(&uri)).await
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["value"].as_array().unwrap().iter().map(|it| it["registrationId"].as_str().unwrap()).collect()
}

async fn filled() -> Bed {
    let bed = Bed::new().await;
    bed.put("second", json!({"location": "x", "sku": {"name": "S1", "capacity": 1}, "properties": {}})).await;
    bed.log(&[
        attempt(Some("dps"), "a", 1, false),
        attempt(Some("second"), "theirs", 2, true),
        attempt(None, "stranger", 3, true),
        attempt(Some("dps"), "B", 4, true),
        attempt(Some("dps"), "a", 5, true),
    ]);
    bed
}

#[tokio::test]
async fn attempts_of_a_service_come_newest_first_and_strangers_with_the_default_one() {
    let bed = filled().await;
    let answer = asked(&bed, DEFAULT, "").await.ok();
    assert_eq!(ids(&answer), ["a", "B", "stranger", "a"]);
    assert_eq!((&answer["unreadable"], answer.get("nextLink")), (&json!(0), None));
    assert_eq!(ids(&asked(&bed, &service("second"), "").await.ok()), ["theirs"]);
    let shown = &answer["value"][0];
    assert_eq!((&shown["event"], &shown["operation"]), (&json!("attempt"), &json!("AttestationAttempt")));
    assert_eq!((&shown["result"], &shown["protocol"]), (&json!("refused"), &json!("Mqtt")));
    assert_eq!((&shown["durationMs"], &shown["causes"]), (&json!(1.5), &json!([])));
    assert_eq!((&shown["error"]["code"], &shown["error"]["name"]), (&json!(401_000), &json!("Unauthorized")));
    assert_eq!(shown["record"]["properties"]["outcome"]["cause"], "the token is another's");
    assert_eq!(answer["value"][3]["error"], Value::Null);
}

#[tokio::test]
async fn attempts_are_narrowed_by_each_parameter_and_by_all_of_them() {
    let bed = filled().await;
    let all = asked(&bed, DEFAULT, "").await.ok();
    let tracking = all["value"][1]["trackingId"].as_str().unwrap();
    let after = all["value"][1]["position"].as_str().unwrap();
    for (question, expected) in [
        ("&registrationId=A".to_owned(), vec!["a", "a"]),
        ("&registrationId=a&refused=TRUE".to_owned(), vec!["a"]),
        ("&refused=true".to_owned(), vec!["a", "B", "stranger"]),
        (format!("&trackingId={tracking}"), vec!["B"]),
        (format!("&trackingId={tracking}&registrationId=a"), vec![]),
        ("&operationId=nothing".to_owned(), vec![]),
        (format!("&after={after}"), vec!["a"]),
        ("&after=2026-12-01T00%3A00%3A04Z".to_owned(), vec!["a"]),
        (format!("&before={after}"), vec!["stranger", "a"]),
        ("&from=2026-12-01T00%3A00%3A03Z&to=2026-12-01T00%3A00%3A05Z".to_owned(), vec!["B", "stranger"]),
    ] {
        let answer = asked(&bed, DEFAULT, &question).await.ok();
        assert_eq!(ids(&answer), expected, "{question}");
    }
    // A tracking id of another service is nobody's here.
    let theirs = asked(&bed, &service("second"), "").await.ok();
    let question = format!("&trackingId={}", theirs["value"][0]["trackingId"].as_str().unwrap());
    assert_eq!(asked(&bed, DEFAULT, &question).await.ok()["value"], json!([]));
}

#[tokio::test]
async fn attempts_beyond_top_are_behind_the_next_link() {
    let bed = filled().await;
    let first = asked(&bed, DEFAULT, "&refused=true&$top=2").await.ok();
    assert_eq!(ids(&first), ["a", "B"]);
    let link = first["nextLink"].as_str().unwrap().strip_prefix("https://example:8443").unwrap();
    let second = bed.call(ask("GET", "").uri(link)).await.ok();
    assert_eq!((ids(&second), second.get("nextLink")), (vec!["stranger"], None));
}

#[tokio::test]
async fn question_that_is_wrong_is_told_what_to_write() {
    let bed = Bed::new().await;
    let long = format!("registrationId={}", "x".repeat(1_025));
    for (question, told) in [
        ("$top=0", "from 1 to 1000"),
        ("$top=1001", "from 1 to 1000"),
        ("$top=x", "from 1 to 1000"),
        ("refused=perhaps", "true or false"),
        ("after=yesterday", "position"),
        ("before=zz", "position"),
        ("from=noon", "2026-11-29T08:00:00Z"),
        (&long, "longer than 1024"),
    ] {
        let (status, _, message) = asked(&bed, DEFAULT, &format!("&{question}")).await.refusal();
        assert!(status == 400 && message.contains(told), "{question}: {message}");
    }
}
