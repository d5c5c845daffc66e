//! The commands around a file of settings, and the pages that must say what they do.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::fixture::{Hub, Site};
use crate::harness::run;
use crate::harness::server::BINARY;

fn muster(arguments: &[&str], folder: &std::path::Path) -> Output {
    Command::new(BINARY).args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn configuration_page_is_what_the_binary_prints() {
    let page = repository().join("docs/reference/configuration.md");
    let printed = text(&muster(&["config", "reference"], &repository()).stdout);
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&page, &printed).unwrap();
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(kept == printed, "docs/reference/configuration.md is out of date: cargo xtask docs");
}

#[test]
fn packaged_example_is_accepted_and_names_every_table() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let example = std::fs::read_to_string(repository().join("packaging/muster.toml")).unwrap();
        // Its paths are those of an installed server.
        let mut here = example.replace("/etc/muster/", &format!("{}/", site.folder.display()));
        here = here.replace("/var/lib/muster", &site.folder.join("data").display().to_string());
        let ca = format!("{}/factory-ca.pem", site.folder.display());
        std::fs::write(&ca, &site.authority.pem).unwrap();
        let hub_line = std::fs::read_to_string(site.folder.join("hub.txt")).unwrap();
        std::fs::create_dir_all(site.folder.join("tls")).unwrap();
        for name in ["chain.pem", "key.pem"] {
            std::fs::rename(site.folder.join(name), site.folder.join("tls").join(name)).unwrap();
        }
        for name in ["hub-1.txt", "hub-2.txt"] {
            site.put(name, &hub_line.replace("HostName=localhost", &format!("HostName={name}")));
        }
        site.put("networks.txt", "10.1.0.0/16 northeurope\n");
        site.put("latencies.txt", "northeurope hub-1.txt 9\n");
        site.put("management-token.txt", &"m".repeat(64));
        std::fs::write(site.folder.join("hub-ca.pem"), &site.authority.pem).unwrap();
        site.put("muster.toml", &here);
        let checked = muster(&["config", "check", "muster.toml"], &site.folder);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
        assert_eq!(text(&checked.stderr), "", "no warning");
        let reference = text(&muster(&["config", "reference"], &site.folder).stdout);
        for header in reference.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`')) {
            assert!(example.contains(header), "packaging/muster.toml does not show {header}");
        }
        hub.server.stop();
    });
}

#[test]
fn online_check_asks_the_hubs_and_print_masks_secrets() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let well = muster(&["config", "check", "--online", "muster.toml"], &site.folder);
        assert!(well.status.success(), "{}", text(&well.stderr));
        assert!(text(&well.stdout).contains("is well: 1 instances, 1 linked hubs"), "{}", text(&well.stdout));
        let token = "0123456789abcdef0123456789abcdef";
        site.settings(&format!("[management]\nbearer_token = {{ value = \"{token}\" }}"));
        let printed = muster(&["config", "print", "muster.toml"], &site.folder);
        let shown = text(&printed.stdout);
        assert!(printed.status.success() && !shown.contains(token), "{shown}");
        for line in
            ["bearer_token = { value = \"****\" }", "drain = \"20s\"", "connection = { file = \"hub.txt\" }"]
        {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        hub.server.stop();
        let silent = muster(&["config", "check", "--online", "muster.toml"], &site.folder);
        assert_eq!(silent.status.code(), Some(1));
        assert!(
            text(&silent.stderr).contains("factory: the linked hub localhost:"),
            "{}",
            text(&silent.stderr)
        );
    });
}

#[test]
fn health_command_tells_by_its_exit_status() {
    run(async {
        let hub = Hub::start().await;
        let site = Site::linked(&hub);
        let server = site.start().await;
        let url = format!("http://127.0.0.1:{}/health/ready", server.http);
        let ask = || tokio::task::block_in_place(|| muster(&["health", "--url", &url], &site.folder));
        let well = ask();
        assert!(well.status.success() && text(&well.stdout).contains("ready"), "{}", text(&well.stderr));
        server.stop();
        let gone = ask();
        assert_eq!(gone.status.code(), Some(1));
        assert!(text(&gone.stderr).contains("does not answer"), "{}", text(&gone.stderr));
        hub.server.stop();
    });
}
