use dps_core::ports::SystemClock;
use dps_model::HubName;
use dps_model::connection_string::ConnectionString;
use dps_model::enrollment::AllocationPolicy;
use dps_model::hub::LinkedHub;
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use dps_store::MemoryStore;

use super::*;

struct Bed {
    folder: tempfile::TempDir,
    directory: DataDir,
    store: Arc<dyn Store>,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDir::open(folder.path()).unwrap();
        Self { folder, directory, store: Arc::new(MemoryStore::new()) }
    }

    /// A start of the server with that file.
    async fn start(&self, declared: &[DeclaredInstance]) -> anyhow::Result<Arc<Instances>> {
        let host = |instance: &DeclaredInstance| format!("{}.dps.test", instance.name);
        let ground = Ground {
            store: &self.store,
            directory: &self.directory,
            clock: &SystemClock::new(),
            subscription: uuid::Uuid::nil(),
            host: &host,
        };
        open(declared, &ground).await
    }

    fn announced(&self, instance: &str) -> Option<String> {
        let path = self.folder.path().join(format!("{instance}.env"));
        let text = std::fs::read_to_string(&path).ok();
        let _ = std::fs::remove_file(path); // as the operator does
        text
    }
}

pub fn declared(name: &str) -> DeclaredInstance {
    DeclaredInstance {
        name: name.into(),
        id_scope: None,
        hosts: Vec::new(),
        allocation_policy: AllocationPolicy::Hashed,
        location: "local".into(),
        resource_group: "muster".into(),
        disable_local_auth: None,
        public_network_access: None,
        hubs: Vec::new(),
        policies: Vec::new(),
        authorities: Vec::new(),
        ip_filters: Vec::new(),
    }
}

fn hub(name: &str, weight: u32) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        connection: ConnectionString { host: name.into(), policy: "p".into(), key: Secret::new(vec![1; 32]) },
        allocation_weight: weight,
        apply_allocation_policy: true,
        location: String::new(),
    }
}

fn policy(name: &str, primary: Option<u8>) -> DeclaredPolicy {
    let primary = primary.map(|byte| Secret::new(vec![byte; 32]));
    DeclaredPolicy { name: name.into(), rights: vec![Right::EnrollmentRead], primary, secondary: None }
}

fn hubs(instance: &Instance) -> Vec<(String, u32)> {
    instance.linked_hubs.iter().map(|hub| (hub.name.to_string(), hub.allocation_weight)).collect()
}

#[tokio::test]
async fn first_start_makes_an_owner_whose_keys_are_told_once() {
    let bed = Bed::new();
    let first = bed.start(&[declared("factory")]).await.unwrap().default_instance();
    let text = bed.announced("factory").unwrap();
    let owner = &first.access_policies[0];
    assert_eq!((owner.name.as_str(), owner.rights.len()), (OWNER, 3));
    let key = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(owner.primary.expose())
    };
    let told = format!("HostName=factory.dps.test;SharedAccessKeyName={OWNER};SharedAccessKey={key}");
    assert!(text.contains(&told) && text.contains(first.id_scope.as_str()), "{text}");
    let second = bed.start(&[declared("factory")]).await.unwrap().default_instance();
    assert_eq!(bed.announced("factory"), None);
    assert_eq!(second.id_scope, first.id_scope);
    assert!(second.access_policies[0].primary == owner.primary);
}

#[tokio::test]
async fn what_the_file_names_wins_and_what_the_control_plane_added_stays() {
    let bed = Bed::new();
    let mut file = declared("factory");
    file.hubs = vec![hub("a.test", 1), hub("b.test", 1)];
    file.policies = vec![policy("mine", Some(1))];
    let instances = bed.start(std::slice::from_ref(&file)).await.unwrap();
    let over_arm = |instance: &mut Instance| {
        instance.linked_hubs[0].allocation_weight = 99;
        instance.linked_hubs.push(hub("arm.test", 5));
        instance.access_policies[0].primary = Secret::new(vec![7; 32]);
        instance.access_policies[0].secondary = Secret::new(vec![8; 32]);
        instance.disable_local_auth = true;
        Ok(())
    };
    instances.change(&instances.default_instance(), None, over_arm).await.unwrap();

    file.hubs = vec![hub("A.test", 3)];
    let kept = bed.start(&[file]).await.unwrap().default_instance();
    assert_eq!(hubs(&kept), [("A.test".into(), 3), ("arm.test".into(), 5)], "b is named no more");
    let mine = &kept.access_policies[0];
    assert!(mine.primary == Secret::new(vec![1; 32]), "the file's key");
    assert!(mine.secondary == Secret::new(vec![8; 32]), "the file gives none, so the renewed one stays");
    assert!(kept.disable_local_auth, "the file does not say");
}

#[tokio::test]
async fn filter_rules_of_the_file_are_the_whole_list_until_it_has_none() {
    let bed = Bed::new();
    let rule = |name: &str| IpFilterRule {
        filter_name: name.into(),
        action: IpFilterAction::Reject,
        ip_mask: IpMask::parse("10.0.0.0/8").unwrap(),
        target: IpFilterTarget::All,
    };
    let names = |instances: &Instances| -> Vec<String> {
        instances.default_instance().network.rules.iter().map(|rule| rule.filter_name.clone()).collect()
    };
    let mut file = declared("factory");
    let instances = bed.start(std::slice::from_ref(&file)).await.unwrap();
    let by_arm = |instance: &mut Instance| {
        instance.network.rules = vec![rule("arm")];
        Ok(())
    };
    instances.change(&instances.default_instance(), None, by_arm).await.unwrap();
    assert_eq!(names(&bed.start(std::slice::from_ref(&file)).await.unwrap()), ["arm"]);
    file.ip_filters = vec![rule("file")];
    assert_eq!(names(&bed.start(std::slice::from_ref(&file)).await.unwrap()), ["file"]);
    file.ip_filters.clear();
    assert!(names(&bed.start(&[file]).await.unwrap()).is_empty());
}

#[tokio::test]
async fn second_instance_is_made_changed_found_by_its_hosts_and_outlives_the_file() {
    let bed = Bed::new();
    let mut second = declared("second");
    second.hosts = vec!["devices.example.com".into()];
    second.hubs = vec![hub("a.test", 1)];
    let instances = bed.start(&[declared("first"), second]).await.unwrap();
    assert_eq!(instances.by_host("Devices.example.com").name, "second");
    assert_eq!(instances.by_host("example.com").name, "first");
    let scope = instances.by_name("second").unwrap().id_scope.clone();

    let mut second = declared("second");
    second.hubs = vec![hub("b.test", 1)];
    let instances = bed.start(&[declared("first"), second]).await.unwrap();
    let kept = instances.by_name("second").unwrap();
    assert_eq!((hubs(&kept), &kept.id_scope), (vec![("b.test".into(), 1)], &scope));

    let instances = bed.start(&[declared("first")]).await.unwrap();
    assert_eq!(hubs(&instances.by_name("second").unwrap()), [("b.test".into(), 1)]);
}

#[tokio::test]
async fn other_id_scope_is_refused_and_changes_nothing() {
    let bed = Bed::new();
    let mut file = declared("factory");
    file.id_scope = Some(IdScope::parse("0ne00000001").unwrap());
    bed.start(std::slice::from_ref(&file)).await.unwrap();
    file.id_scope = Some(IdScope::parse("0ne00000002").unwrap());
    file.hubs = vec![hub("a.test", 1)];
    let error = bed.start(std::slice::from_ref(&file)).await.err().unwrap().to_string();
    assert!(error.contains("0ne00000001 and never changes; the file says 0ne00000002"), "{error}");
    file.id_scope = None;
    file.hubs.clear();
    assert!(hubs(&bed.start(&[file]).await.unwrap().default_instance()).is_empty());
}

#[tokio::test]
async fn trust_that_the_file_gave_goes_when_the_file_takes_it_back() {
    let bed = Bed::new();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let certificate = dps_attestation::x509::possession::read_ca(&pem).unwrap();
    let mut file = declared("factory");
    let authority = |verified| DeclaredCa {
        name: "plant".into(),
        certificate: certificate.clone(),
        lookups: Vec::new(),
        verified,
    };
    let trusted = async |file: &DeclaredInstance| {
        bed.start(std::slice::from_ref(file)).await.unwrap().default_instance().certificates[0].is_verified
    };
    file.authorities = vec![authority(true)];
    assert!(trusted(&file).await);
    file.authorities = vec![authority(false)];
    assert!(!trusted(&file).await, "the file trusts it no more");
    // A proof of possession is not the file's to take back.
    let instances = bed.start(std::slice::from_ref(&file)).await.unwrap();
    let proven = |instance: &mut Instance| {
        instance.certificates[0].is_verified = true;
        Ok(())
    };
    instances.change(&instances.default_instance(), None, proven).await.unwrap();
    assert!(trusted(&file).await);
}
