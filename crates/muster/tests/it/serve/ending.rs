//! The end of a production server: what it says, whom it serves on, what it keeps.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use dps_model::Secret;
use tokio::sync::watch;

use super::fixture::{Hub, Site};
use crate::harness::device::{Device, Protocol};
use crate::harness::run;
use crate::restart::{LOAD, LOADED, Load, assert_assigned};

#[test]
fn sigterm_under_load_is_not_ready_at_once_serves_through_the_grace_and_loses_no_202() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        site.write_settings("drain_grace = \"2s\"\ndrain = \"60s\"", "");
        let mut server = site.start().await;
        let endpoint = server.endpoint.clone();
        let group_key = Secret::new(vec![3; 64]);
        endpoint.enroll_group(&mut endpoint.http().await.unwrap(), "load", &group_key).await.unwrap();
        assert_eq!(server.plain("/health/ready").await.0, 200);
        let load = Arc::new(Load { endpoint, group_key, told: Mutex::default(), count: watch::channel(0).0 });
        let workers: Vec<_> = (0..LOAD).map(|worker| tokio::spawn(Arc::clone(&load).go_on(worker))).collect();
        load.count.subscribe().wait_for(|count| *count >= LOADED).await.unwrap();

        server.process.terminate();
        server.process.stderr.said("stopping").await;
        let (status, body) = server.plain("/health/ready").await;
        assert_eq!((status, &body["reasons"][0]), (503, &"the server is about to end".into()));
        assert_eq!(server.plain("/health/live").await.0, 200);
        let late = Device::of_group("late", Protocol::Mqtt, &load.group_key, &server.endpoint);
        late.provision(&server.endpoint).await.expect("a device that comes in the grace is served");
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(server.process.wait().code(), Some(0), "{}", server.process.stderr.text());
        server.process.assert_calm();

        let server = site.start().await;
        let mut http = server.endpoint.http().await.unwrap();
        let told = std::mem::take(&mut *load.told.lock().unwrap());
        assert!(told.len() >= LOADED);
        for id in told {
            assert_assigned(&server.endpoint, &mut http, &id).await;
        }
        drop(http);
        server.stop();
        hub.server.stop();
    });
}

#[test]
fn second_signal_ends_at_once() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        // Longer than this test is allowed to take.
        site.write_settings("drain_grace = \"600s\"", "");
        let mut server = site.start().await;
        server.process.terminate();
        server.process.stderr.said("stopping").await;
        server.process.terminate();
        let status = server.process.wait();
        assert_eq!(status.code(), Some(1), "{status}: {}", server.process.stderr.text());
        hub.server.stop();
    });
}

#[test]
fn systemd_hears_ready_watchdog_reloading_and_stopping() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let path = site.folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        let hear = |wanted: &str| {
            let mut heard = [0; 512];
            tokio::task::block_in_place(|| {
                loop {
                    let length = socket.recv(&mut heard).unwrap();
                    let text = String::from_utf8_lossy(&heard[..length]).into_owned();
                    if text.starts_with(wanted) {
                        return text;
                    }
                }
            })
        };
        let mut command = site.command();
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
        let mut server = site.started(command, &site.folder).await;
        hear("READY=1");
        hear("WATCHDOG=1");
        site.settings("level = \"debug\"");
        server.process.hang_up();
        assert!(hear("RELOADING=1").contains("\nMONOTONIC_USEC="));
        hear("READY=1");
        server.process.stderr.said("reloaded").await;
        server.process.terminate();
        hear("STOPPING=1");
        assert_eq!(server.process.wait().code(), Some(0));
        hub.server.stop();
    });
}
