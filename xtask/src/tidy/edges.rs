//! Who may use whom. The table is the map of ARCHITECTURE.md; an edge that is not in it does not exist.
//!
//! Three tables: the edges between our crates, the heavy dependencies that only some may name, and what a
//! pure crate never sees. A new crate gets its row together with its ADR.

use super::finding::Finding;
use super::metadata::Dependency;
use super::supply::folder;

/// One crate of ours and what it may use.
struct Room {
    name: &'static str,
    /// Crates of ours that it may use.
    uses: &'static [&'static str],
    /// More that its tests may use.
    tests_use: &'static [&'static str],
}

const fn room(name: &'static str, uses: &'static [&'static str], tests_use: &'static [&'static str]) -> Room {
    Room { name, uses, tests_use }
}

/// Stands for every crate.
const EVERYTHING: &[&str] = &["*"];

const ROOMS: &[Room] = &[
    room("dps-model", &[], &[]),
    room("dps-wire", &[], &[]),
    room("dps-kql", &[], &[]),
    room("dps-attestation", &["dps-model"], &[]),
    room("dps-events", &["dps-model"], &[]),
    room("dps-portal", &["dps-model"], &[]),
    room("dps-explain", &["dps-attestation", "dps-events", "dps-model"], &[]),
    room("dps-core", &["dps-attestation", "dps-events", "dps-model"], &["dps-store"]),
    room("dps-access", &["dps-attestation", "dps-model"], &[]),
    room("dps-store", &["dps-core", "dps-monitor", "dps-model"], &["dps-attestation", "dps-events"]),
    room("dps-hub", &["dps-core", "dps-attestation", "dps-model"], &[]),
    room("dps-monitor", &["dps-kql", "dps-events", "dps-explain", "dps-model"], &[]),
    room("dps-destinations", &["dps-monitor", "dps-model"], &[]),
    room("dps-telemetry", &["dps-events", "dps-model"], &[]),
    room("dps-query", &["dps-monitor", "dps-kql", "dps-events", "dps-model"], &[]),
    room(
        "dps-device-api",
        &["dps-core", "dps-wire", "dps-events", "dps-attestation", "dps-model"],
        &["dps-store", "muster-device"],
    ),
    room(
        "dps-devhub",
        &["dps-device-api", "dps-core", "dps-wire", "dps-events", "dps-attestation", "dps-model"],
        &["dps-hub", "dps-store", "muster-device"],
    ),
    room(
        "dps-service-api",
        &["dps-core", "dps-events", "dps-access", "dps-kql", "dps-model"],
        &["dps-attestation", "dps-store"],
    ),
    room(
        "dps-management-api",
        &["dps-core", "dps-events", "dps-access", "dps-monitor", "dps-explain", "dps-kql", "dps-model"],
        &["dps-attestation", "dps-store"],
    ),
    room("muster-device", &["dps-wire", "dps-attestation", "dps-model"], &[]),
    room("muster", EVERYTHING, &[]),
    // The bench fills stores by the thousand before a server opens them.
    room(
        "muster-bench",
        &["dps-store", "dps-core", "dps-wire", "dps-attestation", "dps-model", "dps-monitor"],
        &[],
    ),
    // Joins the real rooms in one process, and compares what comes out of each door.
    room(
        "muster-parity",
        &[],
        &[
            "dps-device-api",
            "dps-core",
            "dps-store",
            "dps-wire",
            "dps-events",
            "dps-attestation",
            "dps-model",
        ],
    ),
    room("xtask", &[], &[]),
];

/// A dependency that only some crates may name, and why.
const QUARANTINE: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["dps-store"], "SQL lives in dps-store"),
    ("tokio-postgres", &["dps-store"], "SQL lives in dps-store"),
    ("deadpool-postgres", &["dps-store"], "SQL lives in dps-store"),
    ("tokio-postgres-rustls", &["dps-store"], "SQL lives in dps-store"),
    ("datafusion", &["dps-query"], "the query engine costs more to compile than all the rest"),
    ("anyhow", &["muster", "muster-bench", "xtask"], "a library's errors are types"),
    ("clap", &["muster", "muster-bench", "xtask"], "only programs have command lines"),
    (
        "reqwest",
        &["dps-hub", "dps-access", "dps-monitor", "dps-destinations", "muster", "muster-bench"],
        "outbound calls leave by few doors",
    ),
    (
        "axum",
        &["dps-devhub", "dps-service-api", "dps-management-api", "dps-portal", "muster"],
        "routes belong to the APIs that people and services call",
    ),
    (
        "tracing-subscriber",
        &["muster", "muster-bench"],
        "a program decides where its log goes, a library does not",
    ),
];

/// Crates without I/O, and what would bring it in.
const PURE: &[&str] = &["dps-model", "dps-attestation", "dps-wire", "dps-kql", "dps-explain"];
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "reqwest",
    "axum",
    "tower",
    "tracing",
    "socket2",
    "rustix",
    "tokio-rustls",
];

/// Every direct dependency of the workspace against the three tables.
pub fn check(dependencies: &[Dependency], members: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members.iter().filter(|member| row(member).is_none()) {
        findings.push(finding(
            member,
            format!("`{member}` is not on the map"),
            "a new crate needs a reason",
            "write an ADR and add its row to xtask/src/tidy/edges.rs",
        ));
    }
    for dependency in dependencies {
        if members.contains(&dependency.to) {
            findings.extend(between_rooms(dependency));
        } else {
            findings.extend(to_the_outside(dependency));
        }
    }
    findings
}

fn row(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

fn between_rooms(dependency: &Dependency) -> Option<Finding> {
    let Dependency { from, to, dev, .. } = dependency;
    let room = row(from)?;
    let listed = |list: &[&str]| list == EVERYTHING || list.contains(&to.as_str());
    if listed(room.uses) || (*dev && listed(room.tests_use)) || from == to {
        return None;
    }
    let kind = if *dev { "in tests" } else { "in its code" };
    Some(finding(
        from,
        format!("`{from}` uses `{to}` {kind}"),
        "an edge that is not on the map does not exist",
        "return a fact or take a port instead; the map is ARCHITECTURE.md and xtask/src/tidy/edges.rs",
    ))
}

fn to_the_outside(dependency: &Dependency) -> Option<Finding> {
    let Dependency { from, to, dev, .. } = dependency;
    if *dev {
        return None;
    }
    if let Some((_, allowed, why)) = QUARANTINE.iter().find(|(name, _, _)| name == to)
        && !allowed.contains(&from.as_str())
    {
        return Some(finding(
            from,
            format!("`{from}` names `{to}`"),
            why,
            "ask the crate that may name it through a port",
        ));
    }
    (PURE.contains(&from.as_str()) && IMPURE.contains(&to.as_str())).then(|| {
        finding(
            from,
            format!("`{from}` names `{to}`"),
            "the crate is pure: bytes and facts in, bytes and facts out",
            "leave sockets, time and logs to the caller",
        )
    })
}

fn finding(member: &str, what: String, why: &'static str, mend: &'static str) -> Finding {
    let path = format!("{}Cargo.toml", folder(member));
    Finding { path, line: 1, rule: "edge", what, why, mend }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(from: &str, to: &str, dev: bool) -> Dependency {
        Dependency { from: from.into(), to: to.into(), library: to.replace('-', "_"), dev }
    }

    fn found(from: &str, to: &str, dev: bool) -> usize {
        let members = ROOMS.iter().map(|room| room.name.to_owned()).collect::<Vec<_>>();
        check(&[dependency(from, to, dev)], &members).len()
    }

    #[test]
    fn listed_edge_passes_and_its_reverse_fails() {
        assert_eq!(found("dps-core", "dps-attestation", false), 0);
        assert_eq!(found("dps-attestation", "dps-core", false), 1);
        assert_eq!(found("dps-wire", "dps-model", false), 1);
    }

    #[test]
    fn edge_of_tests_alone_fails_in_code() {
        assert_eq!(found("dps-device-api", "dps-store", true), 0);
        assert_eq!(found("dps-device-api", "dps-store", false), 1);
    }

    #[test]
    fn binary_uses_everything_and_nobody_uses_the_binary() {
        assert_eq!(found("muster", "dps-query", false), 0);
        assert_eq!(found("dps-core", "muster", false), 1);
    }

    #[test]
    fn heavy_dependency_outside_its_crate_fails() {
        assert_eq!(found("dps-store", "rusqlite", false), 0);
        assert_eq!(found("dps-core", "rusqlite", false), 1);
        assert_eq!(found("dps-monitor", "datafusion", false), 1);
        assert_eq!(found("dps-monitor", "datafusion", true), 0);
    }

    #[test]
    fn pure_crate_with_a_runtime_fails() {
        assert_eq!(found("dps-wire", "tokio", false), 1);
        assert_eq!(found("dps-core", "tokio", false), 0);
    }

    #[test]
    fn crate_that_is_not_on_the_map_fails() {
        assert_eq!(check(&[], &["dps-new".to_owned()]).len(), 1);
    }

    #[test]
    fn map_names_only_crates_that_it_has() {
        for room in ROOMS.iter().filter(|room| room.uses != EVERYTHING) {
            for used in room.uses.iter().chain(room.tests_use) {
                assert!(row(used).is_some(), "{} uses {used}", room.name);
            }
        }
    }

    #[test]
    fn map_has_no_circle() {
        let uses = |name: &str| row(name).map_or(&[][..], |room| room.uses);
        let mut reached: Vec<&str> = Vec::new();
        // Peel off rooms whose dependencies are all known; what cannot be peeled is a circle.
        while let Some(next) = ROOMS.iter().find(|room| {
            !reached.contains(&room.name)
                && (room.uses == EVERYTHING || uses(room.name).iter().all(|used| reached.contains(used)))
        }) {
            reached.push(next.name);
        }
        assert_eq!(reached.len(), ROOMS.len());
    }
}
