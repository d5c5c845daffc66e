//! Provisioning services over restarts: scope and keys stay, links follow the configuration.

use std::sync::Arc;

use dps_core::Instances;
use dps_core::ports::Store;
use dps_model::instance::Instance;
use dps_model::{IdScope, Secret};
use dps_store::MemoryStore;

use crate::bed::{instance, linked};

#[tokio::test]
async fn reopened_keeps_scope_and_keys_and_takes_new_links() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = instance(vec![linked("hub-a.example", 1)]);
    let opened = Instances::open(Arc::clone(&store), first.clone()).await.unwrap();
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
    let again = Instances::open(Arc::clone(&store), other).await.unwrap().default_instance();
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
    Instances::open(Arc::clone(&store), instance(Vec::new())).await.unwrap();
    let second = Instance {
        name: "Second".into(),
        id_scope: IdScope::parse("0ne00SECOND").unwrap(),
        ..instance(Vec::new())
    };
    let both = Instances::open(Arc::clone(&store), second).await.unwrap();
    let name = |found: Option<Arc<Instance>>| found.map(|instance| instance.name.clone());
    assert_eq!(name(both.by_scope("0NE00test01")).as_deref(), Some("dps"));
    assert_eq!(name(both.by_scope("0ne00second")).as_deref(), Some("Second"));
    assert_eq!(name(both.by_scope("0ne00NOBODY")), None);
    assert_eq!(name(both.by_name("SECOND")).as_deref(), Some("Second"));
    assert_eq!(both.by_host("DPS.localhost").name, "dps");
    assert_eq!(both.by_host("nobody.localhost").name, "Second", "the default answers");
    assert_eq!(both.by_host("localhost").name, "Second");
}
