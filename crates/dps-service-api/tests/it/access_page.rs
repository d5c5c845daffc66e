//! docs/reference/access.md: what real calls of every route with every credential found; those of the control plane are
//! made by dps-management-api's tests, whose tables stand here. `MUSTER_UPDATE_GOLDEN=1` writes the page anew.

use std::fmt::Write as _;

use dps_access::Role;
use dps_attestation::sas_token::SasToken;
use dps_events::Outcome;
use dps_model::Secret;
use dps_model::network::{IpFilterAction, IpFilterRule, IpFilterTarget, IpMask};
use serde_json::{Value, json};

use crate::bed::{Bed, MANAGEMENT_TOKEN, NOW, POLICIES, ask, token};
use crate::issuer::Issuer;

const HEAD: &str = include_str!("access_page.txt");

const ROUTES: [(&str, &str); 15] = [
    ("PUT", "/enrollments/{id}"),
    ("GET", "/enrollments/{id}"),
    ("DELETE", "/enrollments/{id}"),
    ("POST", "/enrollments/{id}/attestationmechanism"),
    ("POST", "/enrollments"),
    ("POST", "/enrollments/query"),
    ("PUT", "/enrollmentGroups/{id}"),
    ("GET", "/enrollmentGroups/{id}"),
    ("DELETE", "/enrollmentGroups/{id}"),
    ("POST", "/enrollmentGroups/{id}/attestationmechanism"),
    ("POST", "/enrollmentGroups"),
    ("POST", "/enrollmentGroups/query"),
    ("GET", "/registrations/{id}"),
    ("DELETE", "/registrations/{id}"),
    ("POST", "/registrations/{id}/query"),
];

/// One call; the code that it is answered with, and what the operator reads.
async fn call(bed: &Bed, route: (&str, &str), authorization: &str, host: &str) -> (String, String) {
    let asked = ask(route.0, &route.1.replace("{id}", "a"));
    let asked = asked.header("authorization", authorization).header("host", host);
    let reply = bed.call(asked).await;
    let cause = match bed.event().outcome {
        Outcome::Failed { cause, .. } => cause.unwrap_or_default(),
        _ => String::new(),
    };
    (reply.code(), cause)
}

/// `yes` for whoever comes past the door, whatever he meets behind it.
fn mark(code: &str) -> &'static str {
    match code {
        "401000" => "–",
        code if code.starts_with('4') || code == "200" => "yes",
        code => panic!("{code}"),
    }
}

/// The name at the end of a refusal that says what was lacking.
fn lacking<'a>(cause: &'a str, between: (&str, &str)) -> &'a str {
    let (_, rest) = cause.split_once(between.0).unwrap_or_else(|| panic!("{cause}"));
    rest.split(between.1).next().unwrap()
}

/// The head of a table.
fn head<'a>(first: &[&'a str], others: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = first.iter().copied().chain(others).collect();
    format!("| {} |\n{}|\n", names.join(" | "), "|---".repeat(names.len()))
}

async fn rights(bed: &Bed) -> String {
    let single = POLICIES[1..].iter().map(|(name, _)| *name);
    let mut page = head(&["call", "right", "owner"], single);
    for route in ROUTES {
        let (_, cause) = call(bed, route, &token("DeviceConnect"), "localhost").await;
        let _ = write!(page, "| `{} {}` | {}", route.0, route.1, lacking(&cause, ("the right ", "\n")));
        for (policy, _) in POLICIES {
            let (code, cause) = call(bed, route, &token(policy), "localhost").await;
            assert_eq!(code == "401000", cause.starts_with("RIGHT_MISSING: "), "{route:?} {policy} {cause}");
            let _ = write!(page, " | {}", mark(&code));
        }
        page.push_str(" |\n");
    }
    page
}

async fn roles(bed: &Bed) -> String {
    let mut page = head(&["call", "data action"], Role::ALL.map(Role::name));
    for route in ROUTES {
        let (_, cause) = call(bed, route, &bed.issuer.token(Role::Owner), "localhost").await;
        let action = lacking(&cause, ("role that allows \"Microsoft.Devices/provisioningServices/", "\""));
        let _ = write!(page, "| `{} {}` | `…/{action}`", route.0, route.1);
        for role in Role::ALL {
            let (code, cause) = call(bed, route, &bed.issuer.token(role), "localhost").await;
            assert_eq!(code == "401000", cause.starts_with("ROLE_MISSING: "), "{route:?} {role:?} {cause}");
            let _ = write!(page, " | {}", mark(&code));
        }
        page.push_str(" |\n");
    }
    page
}

/// The tables of the control plane, found by real calls too: in `rights.rs` of dps-management-api.
fn control_plane() -> [String; 3] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dps-management-api/tests/it/access_tables.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let tables: Vec<_> = text.split("\n\n").map(|table| format!("{}\n", table.trim_end())).collect();
    tables.try_into().unwrap()
}

/// Every credential that opens nothing, on every route: one answer, and one reason each.
async fn refusals(bed: &Bed) -> String {
    let owner = token("provisioningserviceowner");
    let sign = |resource: &str, byte: u8, expiry: i64, policy: Option<&str>| {
        SasToken::sign(resource, &Secret::new(vec![byte; 32]), expiry, policy)
    };
    let name = Some("provisioningserviceowner");
    let claims_with = |member: &str, value: Value| {
        let mut claims = Issuer::claims(Role::DataContributor);
        claims[member] = value;
        bed.issuer.token_of(&claims)
    };
    let good = bed.issuer.token(Role::DataContributor);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let mut page = "| credential | answer | reason in the event |\n|---|---|---|\n".to_owned();
    let cases: [(&str, String, &str); 16] = [
        ("none", String::new(), "localhost"),
        ("another scheme", "Basic dXNlcjpwYXNz".into(), "localhost"),
        ("a SAS token that is none", "SharedAccessSignature sr=localhost".into(), "localhost"),
        ("… without a policy", sign("localhost", 1, NOW + 60, None), "localhost"),
        ("… of a policy that is not there", sign("localhost", 1, NOW + 60, Some("nobody")), "localhost"),
        ("… with a wrong key", sign("localhost", 99, NOW + 60, name), "localhost"),
        ("… that is over", sign("localhost", 1, NOW - 301, name), "localhost"),
        ("… for another host", owner.clone(), "other"),
        ("… for another path", sign("localhost/elsewhere", 1, NOW + 60, name), "localhost"),
        ("a bearer token that is none", "Bearer abc".into(), "localhost"),
        ("… of another issuer", claims_with("iss", json!("https://evil.test")), "localhost"),
        ("… with a wrong signature", format!("{signed}.AAAA"), "localhost"),
        ("… that is over", claims_with("exp", json!(NOW - 301)), "localhost"),
        ("… whose time is to come", claims_with("nbf", json!(NOW + 301)), "localhost"),
        ("… for another audience", claims_with("aud", json!("https://iothubs.azure.net")), "localhost"),
        ("… of somebody without a role", claims_with("roles", json!([])), "localhost"),
    ];
    for (what, authorization, host) in cases {
        let _ = writeln!(page, "| {what} | {} |", everywhere(bed, &authorization, host).await);
    }
    local_auth(bed, true).await;
    let _ = writeln!(
        page,
        "| a good SAS token, local authentication off | {} |",
        everywhere(bed, &owner, "localhost").await
    );
    local_auth(bed, false).await;
    keep_out(bed, true).await;
    for good in [&owner, &good, &format!("Bearer {MANAGEMENT_TOKEN}")] {
        assert_eq!(everywhere(bed, good, "localhost").await, "401000 | `IP_FILTER_REJECTED`");
    }
    let _ = writeln!(page, "| any, from an address that is kept out | 401000 | `IP_FILTER_REJECTED` |");
    keep_out(bed, false).await;
    page
}

/// The answer and the reason, which every route gives alike.
async fn everywhere(bed: &Bed, authorization: &str, host: &str) -> String {
    let mut all = Vec::new();
    for route in ROUTES {
        let (code, cause) = call(bed, route, authorization, host).await;
        all.push(format!("{code} | `{}`", cause.split(':').next().unwrap()));
    }
    all.dedup();
    let [one] = &all[..] else { panic!("{authorization}: {all:?}") };
    one.clone()
}

async fn local_auth(bed: &Bed, disabled: bool) {
    let known = bed.instances.default_instance();
    let changed = bed.instances.change(&known, None, |instance| {
        instance.disable_local_auth = disabled;
        Ok(())
    });
    changed.await.unwrap();
}

async fn keep_out(bed: &Bed, kept_out: bool) {
    let rule = IpFilterRule {
        filter_name: "everybody".into(),
        action: IpFilterAction::Reject,
        ip_mask: IpMask::parse("0.0.0.0/0").unwrap(),
        target: IpFilterTarget::ServiceApi,
    };
    let rules = if kept_out { vec![rule] } else { Vec::new() };
    let known = bed.instances.default_instance();
    let changed = bed.instances.change(&known, None, |instance| {
        instance.network.rules.clone_from(&rules);
        Ok(())
    });
    changed.await.unwrap();
}

#[tokio::test]
async fn access_page_is_what_every_call_finds() {
    let bed = Bed::new().await;
    for route in ROUTES {
        let (code, _) = call(&bed, route, &format!("Bearer {MANAGEMENT_TOKEN}"), "localhost").await;
        assert_eq!(mark(&code), "yes", "{route:?}");
    }
    let [calls, scopes, credentials] = control_plane();
    let mut page = HEAD.to_owned();
    for (place, table) in [
        ("<rights>\n", rights(&bed).await),
        ("<roles>\n", roles(&bed).await),
        ("<control calls>\n", calls),
        ("<control scopes>\n", scopes),
        ("<control refusals>\n", credentials),
        ("<refusals>\n", refusals(&bed).await),
    ] {
        assert!(page.contains(place), "{place}");
        page = page.replace(place, &table);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/access.md");
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(path, &page).unwrap();
    } else {
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == kept, "docs/reference/access.md is stale: run `cargo xtask docs`");
    }
}
