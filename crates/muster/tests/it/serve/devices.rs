//! Devices of a production server, over every port, and what a kill takes from them: nothing.

use dps_model::Secret;

use super::fixture::{Hub, Site};
use crate::harness::device::{Device, Protocol};
use crate::harness::run;
use crate::harness::server::Process;

#[test]
fn devices_register_over_every_port_and_outlive_a_kill() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let mut server = site.start().await;
        let group_key = Secret::new(vec![9; 64]);
        let mut http = server.endpoint.http().await.unwrap();
        server.endpoint.enroll_group(&mut http, "all", &group_key).await.unwrap();
        let mut states = Vec::new();
        let ways = [("by-https", Protocol::Https), ("by-mqtt", Protocol::Mqtt), ("by-amqp", Protocol::Amqp)];
        for (id, protocol) in ways {
            let device = Device::of_group(id, protocol, &group_key, &server.endpoint);
            let state = device.provision(&server.endpoint).await.unwrap();
            assert_eq!(state["assignedHub"], "localhost");
            states.push((id, state));
        }
        // The identity is on the hub, which another process is.
        let mut hub_http = hub.server.endpoint.http().await.unwrap();
        for (id, _) in ways {
            let call = ("GET", &*format!("/devices/{id}"));
            let answer = hub.server.endpoint.hub(&mut hub_http, "localhost", call, &[], None).await.unwrap();
            assert_eq!(answer.json()["deviceId"], id);
        }
        let told = std::fs::read(site.folder.join("data/factory.env")).unwrap();

        server.process.kill();
        let server = site.start().await;
        assert_eq!(std::fs::read(site.folder.join("data/factory.env")).unwrap(), told, "keys are kept");
        let mut http = server.endpoint.http().await.unwrap();
        for (id, state) in states {
            let path = format!("/registrations/{id}");
            let kept = server.endpoint.service(&mut http, "GET", &path, None).await.unwrap();
            assert_eq!(kept["assignedHub"], state["assignedHub"]);
            assert_eq!(kept["createdDateTimeUtc"], state["createdDateTimeUtc"], "{id}");
        }
        drop(http);
        server.stop();
        hub.server.stop();
    });
}

#[test]
fn second_process_and_taken_port_are_refused_in_one_line() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let server = site.start().await;
        let mut second = Process::of(site.command());
        let line = second.stderr.said("in use by another process").await;
        assert_eq!((second.wait().code(), second.stderr.text()), (Some(1), line), "one clear line");

        let other = Site::linked(&hub);
        let text = std::fs::read_to_string(other.folder.join("muster.toml")).unwrap();
        let taken = format!("mqtt_port = {}", server.endpoint.mqtt);
        other.put("muster.toml", &text.replace("mqtt_port = 0", &taken));
        let mut refused = Process::of(other.command());
        let line = refused.stderr.said("is taken").await;
        assert!(line.contains(&server.endpoint.mqtt.to_string()) && line.contains("mqtt_port"), "{line}");
        assert_eq!(refused.wait().code(), Some(1));
        server.stop();
        hub.server.stop();
    });
}
