//! `muster inbox`: an unknown device is seen, survives a restart, is accepted and then let in.

use serde_json::{Value, json};

use crate::fleet::Site;
use crate::harness::device::{Device, Proof, Protocol};
use crate::harness::run;
use crate::harness::tls::DeviceCa;

/// The one group, once the recorder has shown it; the call waits a little longer each time.
async fn group(site: &Site) -> Value {
    for _ in 0..200 {
        let groups = site.muster("inbox list -o json").json();
        if let Some(group) = groups.as_array().and_then(|groups| groups.first()) {
            return group.clone();
        }
        tokio::task::yield_now().await;
    }
    panic!("nobody unknown was seen")
}

#[test]
fn unknown_device_is_seen_kept_over_a_restart_and_accepted() {
    run(async {
        let site = Site::start().await;
        let ca = DeviceCa::new();
        let (proof, endpoint) = (Proof::Certificate(ca.issue("camera-7")), &site.server.endpoint);
        let device = Device::new("camera-7", Protocol::Mqtt, proof, endpoint);
        let refused = device.connect(endpoint).await.unwrap().register().await.unwrap();
        assert_eq!(refused.status, 401);
        let seen = group(&site).await;
        assert_eq!((&seen["kind"], &seen["samples"]), (&json!("issuer"), &json!(["camera-7"])));
        let site = site.restarted_after(async |_| {}).await;
        let kept = group(&site).await;
        assert_eq!(
            (&kept["id"], &kept["count"], &kept["firstSeen"]),
            (&seen["id"], &seen["count"], &seen["firstSeen"])
        );

        let id = seen["id"].as_str().unwrap();
        site.muster(&format!("inbox ignore --id {id}")).json();
        assert_eq!(site.muster("inbox list -o json").json(), json!([]));
        assert_eq!(site.muster("inbox list --all -o json").json().as_array().map(Vec::len), Some(1));
        site.muster(&format!("inbox ignore --id {id} --off")).json();
        // The device showed its issuer's certificate too, so the issuer can be accepted whole.
        let made = site.muster(&format!("inbox accept --id {id} --group")).json();
        let group = made["enrollmentGroupId"].as_str().unwrap();
        assert!(group.starts_with("issuer-"), "{made}");
        let endpoint = &site.server.endpoint;
        let state = device.provision(endpoint).await.unwrap();
        assert_eq!(state["deviceId"], "camera-7");
        assert_eq!(site.muster("inbox list --all -o json").json(), json!([]));
        site.muster(&format!("inbox show --id {id}")).failed(3);
        site.muster(&format!("inbox delete --id {id}")).failed(3);
        site.server.stop();
    });
}
