//! The clock of a development server: what follows it.

use dps_attestation::sas_token::SasToken;
use dps_model::{Secret, Timestamp};
use serde_json::json;

use super::{ask, done, start};
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::server::now;

#[test]
fn expiry_and_every_time_that_is_written_follow_the_clock() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let endpoint = &server.endpoint;
        let mut http = endpoint.http().await.unwrap();
        let key = Secret::new(vec![7; 32]);
        endpoint.enroll(&mut http, "robot", &key).await.unwrap();
        let device = Device::new("robot", Protocol::Mqtt, Proof::Key(key.clone()), endpoint);
        device.provision(endpoint).await.unwrap();

        let standing = done(endpoint, "PUT", "/dev/clock", Some(json!({"offsetSeconds": 7_200}))).await;
        assert!((7_199.0..=7_201.0).contains(&standing["offsetSeconds"].as_f64().unwrap()), "{standing}");
        let refused = device.connect(endpoint).await.unwrap().register().await.unwrap();
        assert_eq!(refused.body["errorCode"], 401_000, "its token ended an hour ago: {refused:?}");

        // The service API's tokens end by the same clock; who keeps one that lasts goes on.
        let resource = format!("{}/registrations/robot", endpoint.id_scope);
        let later = SasToken::sign(&resource, &key, now().seconds() + 8_000, Some("registration"));
        let target = format!("/{}/registrations/robot/register?api-version=2019-03-31", endpoint.id_scope);
        let answer = http.ask("PUT", &target, &[("Authorization", &later)], Some(b"{}")).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());

        done(endpoint, "PUT", "/dev/clock", Some(json!({"offsetSeconds": 0}))).await;
        device.provision(endpoint).await.unwrap();
        server.stop();
    });
}

#[test]
fn clock_stands_still_and_is_the_machines_again() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).server().await;
        let endpoint = &server.endpoint;
        let wanted = now().plus_millis(-600_000);
        let set = json!({"now": wanted.to_string(), "frozen": true});
        done(endpoint, "PUT", "/dev/clock", Some(set)).await;
        let mut http = endpoint.http().await.unwrap();
        endpoint.enroll(&mut http, "robot", &Secret::new(vec![7; 32])).await.unwrap();
        let enrollment = endpoint.service(&mut http, "GET", "/enrollments/robot", None).await.unwrap();
        let created = Timestamp::parse(enrollment["createdDateTimeUtc"].as_str().unwrap()).unwrap();
        assert_eq!(created.millis(), wanted.millis(), "{enrollment}");
        let shown = done(endpoint, "GET", "/dev/clock", None).await;
        assert_eq!(shown["frozen"], true, "{shown}");

        done(endpoint, "POST", "/dev/reset", None).await;
        let shown = done(endpoint, "GET", "/dev/clock", None).await;
        assert_eq!((&shown["frozen"], &shown["now"]), (&json!(false), &shown["machine"]), "{shown}");
        let (status, refused) = ask(endpoint, "PUT", "/dev/clock", Some(json!({"rate": 0}))).await;
        assert_eq!(status, 400);
        assert!(refused["error"]["message"].as_str().unwrap().contains("rate"), "{refused}");
        server.stop();
    });
}
