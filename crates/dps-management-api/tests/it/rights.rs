//! Who may do what on the control plane: every route, really called with every role on every scope and with every
//! credential that is none. What is found is `access_tables.txt`, which docs/reference/access.md repeats;
//! `MUSTER_UPDATE_GOLDEN=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_access::Role;
use dps_attestation::sas_token::SasToken;
use dps_events::Outcome;
use dps_management_api::{ROUTES, Row};
use serde_json::{Value, json};

use crate::alerts::{action_group, fired, metric_alert};
use crate::bed::{Ask, Bed, DEFAULT, NOW, Reply, STORAGE, TOKEN, ask, least, service};
use crate::certificates::{Ca, ca};
use crate::issuer::{Issuer, SCOPES};
use crate::page::short;

/// What stands for something that is not there.
const MISSING: &str = "nobody";

/// Every route with what whoever is let in is answered on `second`, and whether that changes anything.
const CASES: [(&str, &str, u16, bool); 79] = [
    ("GET", "/providers/Microsoft.Devices/operations", 200, false),
    ("POST", "{subscription}/checkProvisioningServiceNameAvailability", 200, false),
    ("GET", "{subscription}/provisioningServices", 200, false),
    (
        "GET",
        "{subscription}/locations/{location}/provisioningServiceOperationResults/{operation}",
        200,
        false,
    ),
    ("GET", "{group}/provisioningServices", 200, false),
    ("PUT", "{service}", 201, true),
    ("GET", "{service}", 200, false),
    ("PATCH", "{service}", 200, true),
    ("DELETE", "{service}", 202, true),
    ("GET", "{service}/skus", 200, false),
    ("POST", "{service}/listkeys", 200, false),
    ("POST", "{service}/keys/{key}/listkeys", 200, false),
    ("GET", "{service}/operationresults/{operation}", 200, false),
    ("GET", "{service}/certificates", 200, false),
    ("GET", "{service}/certificates/{certificate}", 200, false),
    ("PUT", "{service}/certificates/{certificate}", 200, true),
    ("DELETE", "{service}/certificates/{certificate}", 200, true),
    ("POST", "{service}/certificates/{certificate}/generateVerificationCode", 200, true),
    ("POST", "{service}/certificates/{certificate}/verify", 200, true),
    ("GET", "{service}/privateLinkResources", 200, false),
    ("GET", "{service}/privateLinkResources/{group}", 404, false),
    ("GET", "{service}/privateEndpointConnections", 200, false),
    ("GET", "{service}/privateEndpointConnections/{connection}", 404, false),
    ("PUT", "{service}/privateEndpointConnections/{connection}", 400, false),
    ("DELETE", "{service}/privateEndpointConnections/{connection}", 204, false),
    ("GET", "{service}{insights}/metricDefinitions", 200, false),
    ("GET", "{service}{insights}/metricNamespaces", 200, false),
    ("GET", "{service}{insights}/metrics", 200, false),
    ("GET", "/subscriptions/{subscription}{insights}/metricDefinitions", 200, false),
    ("GET", "/subscriptions/{subscription}{insights}/metrics", 200, false),
    ("POST", "/subscriptions/{subscription}{insights}/metrics", 200, false),
    ("POST", "/subscriptions/{subscription}/metrics:getBatch", 200, false),
    // This one keeps no log rows.
    ("GET", "/subscriptions/{subscription}{insights}/eventtypes/management/values", 404, false),
    ("GET", "{service}{insights}/diagnosticSettings", 200, false),
    ("GET", "{service}{insights}/diagnosticSettings/{setting}", 200, false),
    ("PUT", "{service}{insights}/diagnosticSettings/{setting}", 200, true),
    ("DELETE", "{service}{insights}/diagnosticSettings/{setting}", 200, true),
    ("GET", "{service}{insights}/diagnosticSettingsCategories", 200, false),
    ("GET", "{service}{insights}/diagnosticSettingsCategories/{category}", 200, false),
    ("GET", "/subscriptions/{subscription}{insights}/metricAlerts", 200, false),
    ("GET", "{labels}{insights}/metricAlerts", 200, false),
    ("GET", "{labels}{insights}/metricAlerts/{metricAlert}", 200, false),
    ("PUT", "{labels}{insights}/metricAlerts/{metricAlert}", 200, true),
    ("PATCH", "{labels}{insights}/metricAlerts/{metricAlert}", 200, true),
    ("DELETE", "{labels}{insights}/metricAlerts/{metricAlert}", 200, true),
    ("GET", "{labels}{insights}/metricAlerts/{metricAlert}/status", 200, false),
    ("GET", "{labels}{insights}/metricAlerts/{metricAlert}/status/{status}", 200, false),
    ("GET", "/subscriptions/{subscription}{insights}/scheduledQueryRules", 200, false),
    ("GET", "{labels}{insights}/scheduledQueryRules", 200, false),
    ("GET", "{labels}{insights}/scheduledQueryRules/{queryRule}", 404, false),
    ("PUT", "{labels}{insights}/scheduledQueryRules/{queryRule}", 404, false),
    ("PATCH", "{labels}{insights}/scheduledQueryRules/{queryRule}", 404, false),
    ("DELETE", "{labels}{insights}/scheduledQueryRules/{queryRule}", 204, false),
    ("GET", "/subscriptions/{subscription}{insights}/actionGroups", 200, false),
    ("GET", "{labels}{insights}/actionGroups", 200, false),
    ("GET", "{labels}{insights}/actionGroups/{actionGroup}", 200, false),
    ("PUT", "{labels}{insights}/actionGroups/{actionGroup}", 200, true),
    ("PATCH", "{labels}{insights}/actionGroups/{actionGroup}", 200, true),
    ("DELETE", "{labels}{insights}/actionGroups/{actionGroup}", 200, true),
    // This one tells nobody.
    ("POST", "{labels}{insights}/actionGroups/{actionGroup}/createNotifications", 503, false),
    ("GET", "{labels}{insights}/actionGroups/{actionGroup}/notificationStatus/{notification}", 404, false),
    ("GET", "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts", 200, false),
    ("GET", "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/{alert}", 200, false),
    (
        "POST",
        "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/{alert}/changestate",
        200,
        true,
    ),
    (
        "GET",
        "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/{alert}/history",
        200,
        false,
    ),
    ("GET", "/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alertsSummary", 200, false),
    ("GET", "{service}{diagnosis}/attempts", 200, false),
    ("GET", "{service}{diagnosis}/devices/{registrationId}/timeline", 200, false),
    ("GET", "{service}{diagnosis}/devices/{registrationId}/drift", 404, false),
    ("POST", "{service}{diagnosis}/hubEvents", 200, false),
    ("GET", "{service}{diagnosis}/devices/{registrationId}/shown", 200, false),
    ("GET", "{service}{diagnosis}/causes", 200, false),
    ("GET", "{service}{diagnosis}/causes/{cause}", 200, false),
    ("GET", "{service}{diagnosis}/inbox", 200, false),
    ("GET", "{service}{diagnosis}/inbox/{unknown}", 200, false),
    ("DELETE", "{service}{diagnosis}/inbox/{unknown}", 200, true),
    ("POST", "{service}{diagnosis}/inbox/{unknown}/accept", 200, true),
    ("POST", "{service}{diagnosis}/inbox/{unknown}/ignore", 200, true),
    ("POST", "{service}{diagnosis}/rehearsals", 200, false),
];

/// What calls of `Microsoft.Insights` ask beside their path.
const INSIGHTS: &str = "api-version=2024-02-01&interval=FULL&metricnames=AttestationAttempts\
    &metricnamespace=Microsoft.Devices/provisioningServices";

/// A server with two services, and of one of them, `second`, all that a route can name.
struct Ground {
    bed: Bed,
    ca: Ca,
    /// The verification code of its certificate.
    code: String,
    /// The id of the operation that made it.
    operation: String,
    /// The id of an alert about it.
    alert: String,
    /// The id of a group of unknown devices that asked it.
    unknown: String,
    /// What is there, as the management token reads it.
    kept: Value,
}

impl Ground {
    async fn new() -> Self {
        let (bed, ca) = (Bed::new().await, ca());
        let made = bed.call(ask("PUT", &service("second")).json(&least())).await;
        assert_eq!(bed.followed(&made).await["status"], "Succeeded");
        let (_, operation) = made.header("location").split_once("/operationResults/").unwrap();
        let operation = operation.split('?').next().unwrap().to_owned();
        let path = format!("{}/certificates/plant", service("second"));
        bed.call(ask("PUT", &path).json(&json!({"certificate": ca.1}))).await.ok();
        let generate = ask("POST", &format!("{path}/generateVerificationCode")).header("if-match", "*");
        let coded = bed.call(generate).await.ok();
        let code = coded["properties"]["verificationCode"].as_str().unwrap().to_owned();
        let path = format!("{}/providers/Microsoft.Insights/diagnosticSettings/files", service("second"));
        bed.call(ask("PUT", &path).json(&files("DeviceOperations"))).await.ok();
        let labels = "/subscriptions/s-1/resourceGroups/fleet/providers/Microsoft.Insights";
        for (what, body) in [("actionGroups/ops", action_group()), ("metricAlerts/refused", metric_alert())] {
            bed.call(ask("PUT", "").uri(&format!("{labels}/{what}?api-version=2018-03-01")).json(&body))
                .await
                .ok();
        }
        let alert =
            fired(&bed, &service("second"), &format!("{labels}/metricAlerts/refused")).await.id.to_string();
        bed.inbox.observe(&crate::inbox::keyed("second", "dev-9"));
        let unknown = bed.inbox.list(|_| true)[0].id.clone();
        let kept = kept(&bed).await;
        Self { bed, ca, code, operation, alert, unknown, kept }
    }

    /// A path of that form on `second`; one name of it may be of something that is not there.
    fn path(&self, form: &str, missing: Option<&str>) -> String {
        let gone = URL_SAFE_NO_PAD.encode(format!("create;0ne00FFFFFF;{}", service(MISSING)));
        self.names().iter().fold(form.to_owned(), |path, (placeholder, name)| {
            let other = if *placeholder == "{operation}" { gone.as_str() } else { MISSING };
            path.replace(placeholder, if missing == Some(*placeholder) { other } else { name })
        })
    }

    fn names(&self) -> [(&'static str, &str); 20] {
        [
            ("{subscription}", "s-1"),
            ("{resourceGroup}", "fleet"),
            ("{name}", "second"),
            ("{certificate}", "plant"),
            ("{key}", "provisioningserviceowner"),
            ("{operation}", &self.operation),
            ("{location}", "westus"),
            ("{group}", "iotDps"),
            ("{connection}", "one"),
            ("{setting}", "files"),
            ("{category}", "AllMetrics"),
            ("{registrationId}", "dev-1"),
            ("{metricAlert}", "refused"),
            ("{queryRule}", "asked"),
            ("{actionGroup}", "ops"),
            ("{alert}", &self.alert),
            ("{cause}", "SAS_GROUP_KEY_USED"),
            ("{unknown}", &self.unknown),
            ("{status}", "one"),
            ("{notification}", "one"),
        ]
    }

    /// The call of a route, such that whoever is let in does what it is there for.
    fn ask(&self, row: &Row, path: &str, authorization: Option<&str>) -> Ask {
        let body = match (row.method, row.path.rsplit('/').next().unwrap()) {
            ("POST", "checkProvisioningServiceNameAvailability") => json!({"name": "third"}),
            ("PUT", "{name}") => {
                let mut body = least();
                body["tags"] = json!({"plant": "7"});
                body
            }
            ("PATCH", "{name}") => json!({"tags": {"plant": "8"}}),
            ("PUT", "{certificate}") => json!({"certificate": self.ca.1, "isVerified": true}),
            ("POST", "verify") => json!({"certificate": self.ca.proof(&self.code)}),
            ("PUT", "{connection}") => json!({"properties": {}}),
            // Another category than the one that it sends already.
            ("PUT", "{setting}") => files("ServiceOperations"),
            ("PUT", "{metricAlert}") => metric_alert(),
            ("PUT", "{actionGroup}") => action_group(),
            ("POST", "createNotifications") => json!({"alertType": "servicehealth"}),
            ("PUT", "{queryRule}") | ("PATCH", "{metricAlert}" | "{queryRule}" | "{actionGroup}") => {
                json!({"tags": {"plant": "8"}})
            }
            ("POST", "hubEvents") => json!([]),
            ("POST", "rehearsals") => json!({"registrationId": "dev-1"}),
            ("POST", "metrics") => json!({"region": "westus"}),
            ("POST", "metrics:getBatch") => json!({"resourceids": [service("second")]}),
            _ => Value::Null,
        };
        let mut asked = ask(row.method, path);
        if let Some(version) = version(row) {
            asked = asked.uri(&format!("{path}?api-version={version}&newState=Closed&groupby=severity"));
        } else if row.operation.starts_with("Microsoft.Insights/") {
            let region = if row.method == "GET" { "&region=westus" } else { "" };
            asked = asked.uri(&format!("{path}?{INSIGHTS}{region}"));
        }
        if !body.is_null() {
            asked = asked.json(&body);
        }
        if row.path.contains("{certificate}") {
            asked = asked.header("if-match", "*");
        }
        match authorization {
            Some(text) => asked.header("authorization", text),
            None => asked.without("authorization"),
        }
    }

    /// Does a role on that scope let a call in?
    async fn holds(&mut self, row: &Row, role: Role, scope: &str) -> bool {
        let token = self.bed.issuer.token(role, scope);
        let found = self.attempt(row, Some(&token)).await;
        if let Err(refusal) = &found {
            assert_eq!(refusal, "403 `AuthorizationFailed` | `ROLE_MISSING`");
        }
        found.is_ok()
    }

    /// Is a call let in? The refusal otherwise, in ARM's words and the operator's; it left all as it was, and tells
    /// nobody what is there.
    async fn attempt(&mut self, row: &Row, authorization: Option<&str>) -> Result<(), String> {
        let asked = self.ask(row, &self.path(row.path, None), authorization);
        self.bed.events();
        let reply = self.bed.call(asked).await;
        let event = self.bed.events().pop().unwrap();
        let (_, _, status, changes) = case(row);
        if !matches!(reply.status, 401 | 403) {
            assert_eq!(reply.status, *status, "{} {}: {}", row.method, row.path, reply.text);
            assert_eq!(kept(&self.bed).await != self.kept, *changes, "{} {}", row.method, row.path);
            if *changes {
                *self = Self::new().await;
            }
            return Ok(());
        }
        assert_eq!(event.caller, None, "{} {}", row.method, row.path);
        for (placeholder, name) in self.names() {
            if !row.path.contains(placeholder) {
                continue;
            }
            // An operation's id holds the name of its service.
            let name = if placeholder == "{operation}" { "second" } else { name };
            let asked = self.ask(row, &self.path(row.path, Some(placeholder)), authorization);
            let other = self.bed.call(asked).await;
            assert_eq!(
                told(&other, MISSING, name),
                told(&reply, MISSING, name),
                "{} {}",
                row.method,
                row.path
            );
        }
        assert!(kept(&self.bed).await == self.kept, "{} {} changed something", row.method, row.path);
        let (status, code, _) = reply.refusal();
        let Outcome::Failed { cause: Some(cause), .. } = event.outcome else { panic!("{:?}", event.outcome) };
        Err(format!("{status} `{code}` | `{}`", cause.split(':').next().unwrap()))
    }
}

/// A diagnostic setting that sends a category.
fn files(category: &str) -> Value {
    json!({"properties": {"storageAccountId": STORAGE, "logs": [{"category": category, "enabled": true}]}})
}

/// The api-version of what of `Microsoft.Insights` has no metrics.
fn version(row: &Row) -> Option<&'static str> {
    let of = [
        ("/eventtypes/", "2015-04-01"),
        ("/diagnosticSettings", "2021-05-01-preview"),
        ("/metricAlerts", "2018-03-01"),
        ("/scheduledQueryRules", "2023-12-01"),
        ("/actionGroups", "2023-01-01"),
        ("/providers/Microsoft.AlertsManagement/", "2019-05-05-preview"),
        ("/providers/Muster.Diagnosis/", "2026-11-01"),
    ];
    of.into_iter().find(|(part, _)| row.path.contains(part)).map(|(_, version)| version)
}

/// All services with their certificates, keys and diagnostic settings, rules, groups and alerts.
async fn kept(bed: &Bed) -> Value {
    let path = "/subscriptions/s-1/providers/Microsoft.Devices/provisioningServices";
    let services = bed.get(path).await.ok();
    let mut kept = Vec::new();
    for shown in services["value"].as_array().unwrap() {
        let id = shown["id"].as_str().unwrap();
        let keys = bed.call(ask("POST", &format!("{id}/listkeys"))).await.ok();
        let certificates = bed.get(&format!("{id}/certificates")).await.ok();
        let settings = bed.get(&format!("{id}/providers/Microsoft.Insights/diagnosticSettings")).await.ok();
        let uri = format!("{id}/providers/Muster.Diagnosis/inbox?api-version=2026-11-01");
        let unknown = bed.call(ask("GET", "").uri(&uri)).await.ok();
        kept.push(json!([shown, keys, certificates, settings, unknown]));
    }
    for (what, version) in [
        ("Microsoft.Insights/metricAlerts", "2018-03-01"),
        ("Microsoft.Insights/scheduledQueryRules", "2023-12-01"),
        ("Microsoft.Insights/actionGroups", "2023-01-01"),
        ("Microsoft.AlertsManagement/alerts", "2019-05-05-preview"),
    ] {
        let uri = format!("/subscriptions/s-1/providers/{what}?api-version={version}");
        kept.push(bed.call(ask("GET", "").uri(&uri)).await.ok());
    }
    kept.into()
}

/// All that a caller is told but the call's own number, with one name in place of another.
fn told(reply: &Reply, name: &str, by: &str) -> (u16, BTreeMap<String, String>, Value) {
    let own = |name: &str| name.ends_with("request-id");
    let headers = reply.headers.iter().filter(|(name, _)| !own(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut body: Value = serde_json::from_str(&reply.text.replace(name, by)).unwrap();
    body["trackingId"].take();
    body["details"].take();
    (reply.status, headers.collect(), body)
}

fn case(row: &Row) -> &'static (&'static str, &'static str, u16, bool) {
    let path = short(row.path);
    let found = CASES.iter().find(|case| (case.0, case.1) == (row.method, path.as_str()));
    found.unwrap_or_else(|| panic!("no case for {} {path}", row.method))
}

/// What a role must hold on to allow a route.
fn level(row: &Row) -> &'static str {
    match row.path {
        path if path.contains("/providers/Microsoft.AlertsManagement/") => "a subscription",
        path if path.contains("{name}") || path.contains("{operation}") => "a service, and what is below it",
        // A batch names services in its body.
        path if path.ends_with(":getBatch") => "a service, and what is below it",
        path if path.contains("{resourceGroup}") => "a resource group",
        path if path.contains("{subscription}") => "a subscription",
        _ => "the resource provider",
    }
}

fn mark(let_in: bool) -> &'static str {
    if let_in { "yes" } else { "–" }
}

fn head(first: &[&str], others: &[&str]) -> String {
    let names = [first, others].concat();
    format!("| {} |\n{}|\n", names.join(" | "), "|---".repeat(names.len()))
}

/// Which role opens which route, where it holds everywhere; and the same for `scopes`.
async fn roles(ground: &mut Ground) -> (String, Vec<[bool; Role::ALL.len()]>) {
    let mut table = head(&["call", "control action"], &Role::ALL.map(Role::name));
    let mut opens = Vec::new();
    for row in ROUTES {
        let action = row.operation.strip_prefix("Microsoft.Devices/").unwrap_or(row.operation);
        let _ = write!(table, "| `{} {}` | `{action}`", row.method, short(row.path));
        let mut opened = [false; Role::ALL.len()];
        for (role, opened) in Role::ALL.into_iter().zip(&mut opened) {
            *opened = ground.holds(row, role, "/").await;
            let _ = write!(table, " | {}", mark(*opened));
        }
        table.push_str(" |\n");
        opens.push(opened);
    }
    (table, opens)
}

/// Where a role must hold to open what it opens at all.
async fn scopes(ground: &mut Ground, opens: &[[bool; Role::ALL.len()]]) -> String {
    let mut levels: Vec<(&str, String)> = Vec::new();
    for (row, opens) in ROUTES.iter().zip(opens) {
        let mut line = String::new();
        for (place, scopes) in SCOPES {
            let mut reached = Vec::new();
            for scope in scopes {
                let reaches = ground.holds(row, Role::Owner, scope).await;
                for (role, opens) in Role::ALL.into_iter().zip(opens).skip(1) {
                    let here = ground.holds(row, role, scope).await;
                    assert_eq!(here, *opens && reaches, "{} {} {role:?} on {scope}", row.method, row.path);
                }
                reached.push(reaches);
            }
            reached.dedup();
            let [reaches] = reached[..] else { panic!("{place} {} {reached:?}", row.path) };
            assert!(!reaches || place != "elsewhere", "{} {}", row.method, row.path);
            let _ = write!(line, " | {}", mark(reaches));
        }
        match levels.iter().find(|(name, _)| *name == level(row)) {
            Some((_, known)) => assert_eq!(&line, known, "{} {}", row.method, row.path),
            None => levels.push((level(row), line)),
        }
    }
    let table = head(&["what is called"], &SCOPES.map(|(place, _)| place));
    levels.iter().fold(table, |table, (name, line)| format!("{table}| {name}{line} |\n"))
}

/// Every credential that opens nothing, and the one that opens everything: on every route alike.
async fn credentials(ground: &mut Ground) -> String {
    let mut table = head(&["credential", "answer", "reason in the event"], &[]);
    let mut cases = refused(ground);
    cases.push(("the management token", Some(format!("Bearer {TOKEN}"))));
    for (what, authorization) in cases {
        let mut all = Vec::new();
        for row in ROUTES {
            let found = ground.attempt(row, authorization.as_deref()).await;
            all.push(found.err().unwrap_or_else(|| "let in |".into()));
        }
        all.dedup();
        let [one] = &all[..] else { panic!("{what}: {all:?}") };
        assert_eq!(one == "let in |", what == "the management token", "{what}");
        let _ = writeln!(table, "| {what} | {one} |");
    }
    table
}

fn refused(ground: &Ground) -> Vec<(&'static str, Option<String>)> {
    let Bed { issuer, instances, .. } = &ground.bed;
    let claims_with = |member: &str, value: Value| {
        let mut claims = Issuer::claims(Role::Owner, "/");
        claims[member] = value;
        Some(issuer.token_of(&claims))
    };
    let second = instances.by_name("second").unwrap();
    let policy = &second.access_policies[0];
    let sas = SasToken::sign("second.example", &policy.primary, NOW + 60, Some(&policy.name));
    let good = issuer.token(Role::Owner, "/");
    let (signed, _) = good.rsplit_once('.').unwrap();
    vec![
        ("none", None),
        ("an empty one", Some(String::new())),
        ("another scheme", Some("Basic dXNlcjpwYXNz".into())),
        ("a SAS token, good on the service API", Some(sas)),
        ("a bearer token without text", Some("Bearer".into())),
        ("a bearer token that is none", Some(format!("Bearer {}x", &TOKEN[1..]))),
        ("… of another issuer", claims_with("iss", json!("https://evil.test"))),
        ("… with a wrong signature", Some(format!("{signed}.AAAA"))),
        ("… that is over", claims_with("exp", json!(NOW - 301))),
        ("… whose time is to come", claims_with("nbf", json!(NOW + 301))),
        ("… for the service API", claims_with("aud", json!("https://azure-devices-provisioning.net"))),
        ("… of somebody without a role", claims_with("roles", json!([]))),
    ]
}

#[tokio::test]
async fn access_tables_are_what_every_call_finds() {
    let mut ground = Ground::new().await;
    let (calls, opens) = roles(&mut ground).await;
    let tables = [calls, scopes(&mut ground, &opens).await, credentials(&mut ground).await].join("\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/access_tables.txt");
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(path, &tables).unwrap();
    } else {
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(tables == kept, "access_tables.txt is stale: run `cargo xtask docs`");
    }
}

#[test]
fn every_route_has_its_case_and_every_case_its_route() {
    let routes: Vec<_> = ROUTES.iter().map(|row| (row.method, short(row.path))).collect();
    let cases: Vec<_> = CASES.iter().map(|case| (case.0, case.1.to_owned())).collect();
    assert_eq!(routes, cases);
}

/// Ids of operations are made of what everybody can know; a role on one service must not answer for another.
#[tokio::test]
async fn made_up_operation_tells_nothing_of_a_service_elsewhere() {
    let Ground { bed, .. } = Ground::new().await;
    let reader = bed.issuer.token(Role::Reader, "/subscriptions/s-1/resourceGroups/muster");
    let there = bed.instances.by_name("second").unwrap().id_scope.as_str().to_owned();
    for kind in ["create", "update", "delete"] {
        let mut said = Vec::new();
        for scope in [there.as_str(), "0ne00FFFFFF"] {
            let id = URL_SAFE_NO_PAD.encode(format!("{kind};{scope};{DEFAULT}"));
            let uri = format!("{DEFAULT}/operationResults/{id}?api-version=2022-02-05&asyncinfo");
            said.push(bed.call(ask("GET", "").uri(&uri).header("authorization", &reader)).await.ok());
        }
        assert_eq!(said[0], said[1], "{kind}");
    }
}
