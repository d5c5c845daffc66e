//! A full disk: the server says that it is not ready, lives on, and is ready again when there is space.

use std::process::Command;

use dps_model::Secret;

use super::fixture::{Hub, Production, Site};
use crate::disk::SmallDisk;
use crate::harness::device::{Device, Protocol};
use crate::harness::run;
use crate::harness::server::BINARY;

#[test]
fn full_disk_is_not_ready_and_lives_on() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        std::fs::create_dir(site.folder.join("data")).unwrap();
        match SmallDisk::over(&site.folder.join("data")) {
            Ok(disk) => full_and_free_again(&site, disk).await,
            Err(why) => println!("skipped: no file system may be mounted here: {why}"),
        }
        hub.server.stop();
    });
}

async fn full_and_free_again(site: &Site, disk: SmallDisk) {
    let mut command = Command::new(&disk.enter[0]);
    command.args(&disk.enter[1..]).arg(BINARY);
    site.arguments(&mut command);
    let seen = disk.root().join(site.folder.strip_prefix("/").unwrap());
    let server = site.started(command, &seen).await;
    let group_key = Secret::new(vec![5; 64]);
    let endpoint = &server.endpoint;
    endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "disk", &group_key).await.unwrap();
    let kept = Device::of_group("kept", Protocol::Mqtt, &group_key, endpoint);
    kept.provision(endpoint).await.unwrap();
    assert_eq!(server.plain("/health/ready").await.0, 200);

    disk.fill();
    wear_out(&server, &group_key).await;
    assert_eq!(server.plain("/health/live").await.0, 200);

    disk.free();
    server.until("/health/ready", |status, _| status == 200).await;
    kept.provision(endpoint).await.unwrap();
    server.stop();
}

/// Registers devices until the server says that it is not ready: what space the store had left is used up by then.
async fn wear_out(server: &Production, group_key: &Secret) {
    for number in 0.. {
        let id = format!("late-{number}");
        let device = Device::of_group(&id, Protocol::Https, group_key, &server.endpoint);
        let reply = device.connect(&server.endpoint).await.unwrap().register().await.unwrap();
        assert!(reply.status == 202 || reply.status >= 500, "{reply:?}");
        let (status, body) = server.plain("/health/ready").await;
        if status == 503 && body["reasons"].to_string().contains("the store cannot be written") {
            return;
        }
    }
}
