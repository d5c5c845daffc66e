use std::collections::HashSet;
use std::path::Path;

use dps_model::Timestamp;
use dps_model::limits::{Profile, Rate};
use toml::de::DeTable;

use super::super::section::{Reading, Section};
use super::super::shape::{Kind, Need, below};
use super::super::{Config, LogTarget, Read, schema};

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// A folder with a certificate and a key in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["dps.test".into(), "*.dps.test".into()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    std::fs::write(folder.path().join("chain.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    write_private(&folder.path().join("key.pem"), &key.serialize_pem());
    folder
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn read(folder: &Path, text: &str) -> Read {
    let file = folder.join("muster.toml");
    std::fs::write(&file, text).unwrap();
    super::file(&file, now(), |name| (name == "THE_TOKEN").then(|| "t".repeat(40))).unwrap()
}

fn good(folder: &Path, text: &str) -> (Config, Read) {
    let mut read = read(folder, text);
    let config = read.config.take().unwrap_or_else(|| panic!("{}", read.problems));
    (config, read)
}

const LEAST: &str = "[server]\ndata_dir = \"data\"\n[[certificate]]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n\
                     [[instance]]\nname = \"factory\"\n";

#[test]
fn least_file_has_defaults_and_no_remark() {
    let folder = folder();
    let (config, read) = good(folder.path(), LEAST);
    assert_eq!(read.problems.to_string(), "");
    assert_eq!(config.data_dir, folder.path().join("data"), "below the folder of the file");
    assert_eq!((config.listeners.https, config.listeners.mqtt, config.listeners.amqp), (443, 8883, 5671));
    assert_eq!(config.listeners.http, Some(("127.0.0.1".parse().unwrap(), 8080)));
    assert_eq!((config.limits.profile, config.attempts.segment_size), (Profile::SelfHosted, 64 << 20));
    assert!(config.log.to == LogTarget::Stderr && config.bearer_token.is_none());
    assert!(config.certificates[0].load().unwrap().covers("north.DPS.test"));
}

#[test]
fn every_key_of_the_schema_is_read() {
    let folder = folder();
    let text = format!(
        "{LEAST}[[instance.hub]]\nconnection = {{ file = \"no\" }}\n[[instance.policy]]\nname = \"p\"\nrights = []\n\
         [[instance.ca]]\nname = \"c\"\ncertificate = \"no\"\n[[instance.ip_filter]]\nname = \"n\"\n\
         action = \"accept\"\nmask = \"10.0.0.0/8\"\n[[identity_provider]]\nissuer = \"https://id.test\"\n\
         [[identity_provider.role]]\nclaim = \"sub\"\nvalue = \"x\"\nrole = \"Owner\"\n\
         [[destination]]\nid = \"no\"\nkind = \"otlp\"\n\
         [telemetry]\nendpoint = \"https://otel.test\"\n"
    );
    let table = DeTable::parse(&text).unwrap();
    let reading = Reading::new(&text, folder.path(), |_| None);
    super::whole(&reading, table.get_ref(), now());
    let asked: HashSet<_> = reading.asked().into_iter().collect();
    for shape in below(&schema::ROOT) {
        for key in shape.keys.iter().filter(|key| !key.help.is_empty()) {
            assert!(asked.contains(&(shape.header, key.name)), "{} {} is never read", shape.header, key.name);
        }
    }
}

#[test]
fn every_default_of_the_schema_is_a_value_of_its_key() {
    for shape in below(&schema::ROOT) {
        let text = String::new();
        let reading = Reading::new(&text, Path::new("/"), |_| None);
        let section = Section::new(&reading, shape, None, 0);
        for key in shape.keys.iter().filter(|key| matches!(key.need, Need::Default(_))) {
            let read = match key.kind {
                Kind::Text | Kind::OneOf(_) => section.text(key.name).is_some(),
                Kind::Integer(..) => section.integer(key.name).is_some(),
                Kind::Switch => section.switch(key.name).is_some(),
                Kind::Time(..) => section.time(key.name).is_some(),
                Kind::Size(..) => section.size(key.name).is_some(),
                Kind::Address => section.address(key.name).is_some(),
                _ => false,
            };
            assert!(read, "the default of {} {}", shape.header, key.name);
        }
    }
}

#[test]
fn secrets_are_taken_from_where_they_are_and_never_shown() {
    let folder = folder();
    let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldCE=";
    let hub = format!("HostName=hub.test;SharedAccessKeyName=iothubowner;SharedAccessKey={key}\n");
    write_private(&folder.path().join("hub.txt"), &hub);
    let text = format!(
        "{LEAST}[[instance.hub]]\nconnection = {{ file = \"hub.txt\" }}\nweight = 7\n[[instance.policy]]\n\
         name = \"owner\"\nrights = [\"ServiceConfig\"]\nprimary_key = {{ value = \"{key}\" }}\n[management]\n\
         bearer_token = {{ env = \"THE_TOKEN\" }}\n"
    );
    let (config, read) = good(folder.path(), &text);
    let instance = &config.instances[0];
    assert_eq!((instance.hubs[0].name.as_str(), instance.hubs[0].allocation_weight), ("hub.test", 7));
    assert!(instance.policies[0].primary.is_some() && instance.policies[0].secondary.is_none());
    assert!(config.bearer_token.unwrap().matches("t".repeat(40).as_bytes()));
    assert!(!read.effective.contains("c2Vj"), "{}", read.effective);
    for shown in ["connection = { file = \"hub.txt\" }", "primary_key = { value = \"****\" }", "weight = 7"] {
        assert!(read.effective.contains(shown), "{shown} in {}", read.effective);
    }
    assert_eq!(read.problems.warnings().len(), 1, "{}", read.problems);
}

#[test]
fn file_that_everybody_reads_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("key.pem"), open).unwrap();
    let (_, read) = good(folder.path(), LEAST);
    assert!(read.problems.to_string().contains("key.pem (mode 644); chmod it"), "{}", read.problems);
}

#[test]
fn rates_replace_the_profiles_one_by_one() {
    let folder = folder();
    let text = format!("{LEAST}[limits]\nprofile = \"azure\"\npolls = \"none\"\nregistrations = \"9/3s\"\n");
    let throttles = good(folder.path(), &text).0.limits.throttles;
    assert_eq!(throttles.registrations, Some(Rate { requests: 9, seconds: 3 }));
    assert_eq!(throttles.service_operations, Some(Rate { requests: 1_000, seconds: 60 }));
    assert_eq!(throttles.polls, None);
}

#[test]
fn host_of_an_instance_is_one_name_and_a_certificate_may_have_many() {
    let folder = folder();
    let wrong = read(folder.path(), &format!("{LEAST}hosts = [\"*.dps.test\"]\n"));
    assert!(wrong.problems.to_string().contains("\"*.dps.test\" is no host name"), "{}", wrong.problems);
    let text = LEAST.replace("[[instance]]", "hosts = [\"*.dps.test\"]\n[[instance]]");
    assert_eq!(good(folder.path(), &text).0.certificates[0].hosts, ["*.dps.test"]);
}

#[test]
fn identity_provider_that_would_not_be_asked_is_refused() {
    let folder = folder();
    let provider = |number: usize| {
        format!("[[identity_provider]]\nissuer = \"https://login-{number}.test\"\naudiences = [\"dps\"]\n")
    };
    let providers = |count: usize| LEAST.to_owned() + &(0..count).map(provider).collect::<String>();
    let told = read(folder.path(), &providers(17)).problems.to_string();
    assert!(told.contains("at most 16 identity providers"), "{told}");
    let told = read(folder.path(), &providers(16)).problems.to_string();
    assert!(!told.contains("at most"), "{told}");
}
