//! Provisioning services over restarts and changes: scope and keys stay, links follow, deletion ends.

use std::sync::Arc;

use dps_core::Instances;
use dps_core::ports::{Collection, Store};
use dps_model::etag::IfMatch;
use dps_model::instance::{Instance, InstanceState};
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_model::{ErrorCode, Etag, IdScope, Secret};
use dps_store::MemoryStore;

use crate::bed::{instance, linked};

/// What a restart with another configuration brings up to date.
fn renew(kept: &mut Instance, wanted: Instance) {
    kept.linked_hubs = wanted.linked_hubs;
    kept.location = wanted.location;
}

async fn open(store: &Arc<dyn Store>, default: Instance) -> Instances {
    Instances::open(Arc::clone(store), default, renew).await.unwrap()
}

fn second() -> Instance {
    Instance {
        name: "Second".into(),
        id_scope: IdScope::parse("0ne00SECOND").unwrap(),
        ..instance(Vec::new())
    }
}

#[tokio::test]
async fn reopened_keeps_scope_and_keys_and_takes_new_links() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = instance(vec![linked("hub-a.example", 1)]);
    let opened = open(&store, first.clone()).await;
    assert_eq!(opened.default_instance().id_scope, first.id_scope);

    let mut access_policies = first.access_policies.clone();
    access_policies[0].primary = Secret::new(vec![1; 32]);
    let other = Instance {
        name: "DPS".into(),
        id_scope: IdScope::parse("0ne00OTHER1").unwrap(),
        access_policies,
        location: "elsewhere".into(),
        linked_hubs: vec![linked("hub-b.example", 5), linked("hub-c.example", 1)],
        ..first.clone()
    };
    let again = open(&store, other).await.default_instance();
    assert_eq!((&again.name, &again.id_scope), (&first.name, &first.id_scope));
    assert!(again.access_policies[0].primary == first.access_policies[0].primary);
    assert!(again.access_policies[0].rights == first.access_policies[0].rights);
    assert_eq!(again.location, "elsewhere");
    let hubs: Vec<_> =
        again.linked_hubs.iter().map(|hub| (hub.name.as_str(), hub.allocation_weight)).collect();
    assert_eq!(hubs, [("hub-b.example", 5), ("hub-c.example", 1)]);
    assert!(again.linked_hubs[0].connection.key == first.linked_hubs[0].connection.key);
}

#[tokio::test]
async fn instances_are_found_by_scope_host_and_name_in_any_case() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    open(&store, instance(Vec::new())).await;
    let both = open(&store, second()).await;
    let name = |found: Option<Arc<Instance>>| found.map(|instance| instance.name.clone());
    assert_eq!(name(both.by_scope("0NE00test01")).as_deref(), Some("dps"));
    assert_eq!(name(both.by_scope("0ne00second")).as_deref(), Some("Second"));
    assert_eq!(name(both.by_scope("0ne00NOBODY")), None);
    assert_eq!(name(both.by_name("SECOND")).as_deref(), Some("Second"));
    assert_eq!(both.by_host("DPS.localhost").name, "dps");
    assert_eq!(both.by_host("nobody.localhost").name, "Second", "the default answers");
    assert_eq!(both.by_host("localhost").name, "Second");
}

#[tokio::test]
async fn created_instance_answers_at_once_and_its_name_and_scope_are_taken() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = open(&store, instance(Vec::new())).await;
    let made = instances.create(second()).await.unwrap();
    assert!(made.previous.is_none());
    assert_eq!(instances.by_scope("0ne00SECOND").unwrap().etag, made.instance.etag);
    let names: Vec<_> = instances.all().iter().map(|instance| instance.name.clone()).collect();
    assert_eq!(names, ["dps", "Second"]);

    let refused = |instance: Instance| async { instances.create(instance).await.err().unwrap().code };
    let same_name = Instance { name: "SECOND".into(), id_scope: IdScope::fresh(), ..second() };
    assert_eq!(refused(same_name).await, ErrorCode::InstanceExists);
    let same_scope = Instance { name: "third".into(), ..second() };
    assert_eq!(refused(same_scope).await, ErrorCode::InstanceExists);
}

#[tokio::test]
async fn change_replaces_the_version_and_survives_a_restart() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = open(&store, instance(Vec::new())).await;
    let before = instances.create(second()).await.unwrap().instance;
    let rule = IpFilterRule {
        filter_name: "office".into(),
        action: IpFilterAction::Reject,
        ip_mask: IpMask::parse("10.0.0.0/8").unwrap(),
        target: IpFilterTarget::DeviceApi,
    };
    let change = |instance: &mut Instance| {
        instance.network.rules = vec![rule.clone()];
        instance.linked_hubs = vec![linked("hub-a.example", 3)];
        instance.name = "renamed".into();
        Ok(())
    };
    let tag = IfMatch::Tag(before.etag.clone());
    let changed = instances.change(&before, Some(&tag), change).await.unwrap();
    assert_eq!(changed.previous.as_ref(), Some(&before.etag));
    assert_ne!(changed.instance.etag, before.etag);
    assert_eq!(changed.instance.name, "Second", "a change does not rename");
    let stale = instances.change(&before, Some(&tag), |_| Ok(())).await.err().unwrap();
    assert_eq!(stale.code, ErrorCode::EtagMismatch);
    let third = dps_model::instance::Instance { name: "third".into(), ..instance(Vec::new()) };
    let unknown = instances.change(&third, None, |_| Ok(())).await.err().unwrap();
    assert_eq!(unknown.code, ErrorCode::InstanceNotFound);

    let again = open(&store, instance(Vec::new())).await.by_name("second").unwrap();
    assert_eq!((&again.etag, &again.network.rules), (&changed.instance.etag, &vec![rule]));
    assert_eq!(again.linked_hubs[0].allocation_weight, 3);
}

#[tokio::test]
async fn view_follows_a_change_that_another_node_made() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (one, other) = (open(&store, instance(Vec::new())).await, open(&store, instance(Vec::new())).await);
    other.create(second()).await.unwrap();
    assert!(one.by_name("second").is_none());
    one.refresh().await.unwrap();
    assert!(one.by_name("second").is_some());
    // A change made on a stale view works on what is stored.
    let known = one.by_name("second").unwrap();
    other
        .change(&known, None, |instance| {
            instance.location = "north".into();
            Ok(())
        })
        .await
        .unwrap();
    let changed = one.change(&known, None, |instance| {
        instance.resource.capacity = 2;
        Ok(())
    });
    assert_eq!(changed.await.unwrap().instance.location, "north");
}

#[tokio::test]
async fn deleted_instance_answers_nobody_and_a_restart_ends_its_deletion() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = open(&store, instance(Vec::new())).await;
    let made = instances.create(second()).await.unwrap().instance;
    for (name, rows) in [(made.rows(), 1_500), ("dps", 2)] {
        crate::bed::fill(&store, Collection::Enrollments, name, rows).await;
    }
    let refused = instances.begin_deletion(&instances.default_instance(), None).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InstanceIsDefault);
    let stale = IfMatch::Tag(Etag::fresh());
    assert!(instances.begin_deletion(&made, Some(&stale)).await.is_err());
    let begun = instances.begin_deletion(&made, None).await.unwrap().instance;
    assert_eq!(begun.resource.state, InstanceState::Deleting);
    assert!(instances.by_name("second").is_none() && instances.by_scope("0ne00SECOND").is_none());
    assert_eq!(instances.create(second()).await.err().unwrap().code, ErrorCode::InstanceExists);

    // The process dies here; the next one ends what was begun.
    let instances = open(&store, instance(Vec::new())).await;
    instances.resume_deletions().await.unwrap();
    assert_eq!(store.count(Collection::Enrollments, made.rows()).await.unwrap(), 0);
    assert_eq!(store.count(Collection::Enrollments, "dps").await.unwrap(), 2, "others keep theirs");
    instances.create(second()).await.unwrap();
}

#[tokio::test]
async fn successor_of_the_same_name_is_not_changed_by_who_knew_the_one_before() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let instances = open(&store, instance(Vec::new())).await;
    let known = instances.create(second()).await.unwrap().instance;
    instances.begin_deletion(&known, None).await.unwrap();
    instances.purge("second").await.unwrap();
    let successor = instances.create(second()).await.unwrap().instance;
    let moved = |instance: &mut dps_model::instance::Instance| {
        instance.location = "elsewhere".into();
        Ok(())
    };
    let refused = instances.change(&known, None, moved).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InstanceNotFound);
    let refused = instances.begin_deletion(&known, None).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InstanceNotFound);
    assert_eq!(instances.by_name("second").unwrap().etag, successor.etag, "nothing has changed");
}
