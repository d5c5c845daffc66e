//! Signing in to the portal, on both ports, and what other sites and strangers get.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::http::{Answer, Http};
use crate::harness::run;
use crate::harness::server::{Endpoint, Server, Start};
use crate::harness::tls;

const ENROLLMENT: &str = "/enrollments/dev-1?api-version=2021-10-01";
const PAGE: (&str, &str) = ("X-Muster-Portal", "1");

pub async fn ask(
    endpoint: &Endpoint,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Answer {
    let mut http = Http::over(tls::tcp(endpoint.http).await.unwrap());
    let body = body.map(|body| body.to_string());
    http.ask(method, target, headers, body.as_deref().map(str::as_bytes)).await.unwrap()
}

/// Signs in on the plain port; the cookie as the browser sends it back.
pub async fn signed_in(endpoint: &Endpoint, shown: &Value) -> String {
    let answer = ask(endpoint, "POST", "/portal/session", &[PAGE], Some(shown.clone())).await;
    assert_eq!(answer.status, 204, "{}", answer.json());
    answer.headers["set-cookie"].split(';').next().unwrap().to_owned()
}

fn by_key(server: &Server) -> Value {
    json!({"connectionString": server.env["MUSTER_SERVICE_CONNECTION_STRING"]})
}

fn service(server: &Server) -> String {
    format!("{}?api-version=2022-02-05", server.env["MUSTER_RESOURCE_ID"])
}

fn attempts(folder: &Path) -> String {
    let logs = std::fs::read_dir(folder.join("logs")).unwrap();
    logs.map(|file| String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned())
        .collect()
}

#[test]
fn owner_signs_in_with_a_key_and_has_every_api_until_they_sign_out() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let stranger = ask(endpoint, "GET", "/portal/session", &[PAGE], None).await;
        assert_eq!((stranger.status, stranger.json()), (401, json!({"providers": []})));

        let cookie = signed_in(endpoint, &by_key(&server)).await;
        let own = [("Cookie", &cookie[..]), PAGE];
        let session = ask(endpoint, "GET", "/portal/session", &own, None).await;
        let shown = session.json();
        let may = json!({
            "readEnrollments": true, "writeEnrollments": true, "configure": true, "readRegistrations": true,
            "writeRegistrations": true, "writeRules": true, "queryWorkspace": true,
        });
        assert_eq!((&shown["name"], &shown["kind"]), (&json!("provisioningserviceowner"), &json!("policy")));
        assert_eq!((&shown["mode"], &shown["may"]), (&json!("dev"), &may));
        assert_eq!(shown["resourceId"], server.env["MUSTER_RESOURCE_ID"]);
        assert_eq!(shown["workspaceId"], server.env["MUSTER_WORKSPACE_ID"]);
        assert_eq!(shown["instances"][0]["idScope"], endpoint.id_scope);
        assert_eq!(session.headers["cache-control"], "no-cache, no-store");

        assert_eq!(ask(endpoint, "GET", &service(&server), &own, None).await.status, 200);
        let body = json!({"registrationId": "dev-1", "attestation": {"type": "symmetricKey"}});
        assert_eq!(ask(endpoint, "PUT", ENROLLMENT, &own, Some(body)).await.status, 200);
        assert_eq!(ask(endpoint, "GET", ENROLLMENT, &own, None).await.json()["registrationId"], "dev-1");

        let ended = ask(endpoint, "DELETE", "/portal/session", &own, None).await;
        assert!(ended.status == 204 && ended.headers["set-cookie"].contains("Max-Age=0"));
        for path in [&service(&server), ENROLLMENT, "/portal/session"] {
            assert_eq!(ask(endpoint, "GET", path, &own, None).await.status, 401, "{path}");
        }
        let connection = server.env["MUSTER_SERVICE_CONNECTION_STRING"].clone();
        server.stop();
        let log = attempts(folder.path());
        assert!(
            log.contains("Muster.Portal/sessions/write") && log.contains("Muster.Portal/sessions/delete")
        );
        assert!(log.contains("PortalSession"), "calls say that they came by the portal");
        let id = cookie.split_once('=').unwrap().1;
        let key = connection.split_once("SharedAccessKey=").unwrap().1;
        assert!(key.len() > 40 && !log.contains(key) && !log.contains(id), "no secret is in the log");
    });
}

#[test]
fn editor_has_help_for_those_who_are_signed_in() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let query = json!({"text": "AzureDiagnostics | whe", "cursor": 22});
        assert_eq!(ask(endpoint, "POST", "/portal/kql", &[PAGE], Some(query.clone())).await.status, 401);
        let cookie = signed_in(endpoint, &by_key(&server)).await;
        let bare = [("Cookie", &cookie[..])];
        assert_eq!(ask(endpoint, "POST", "/portal/kql", &bare, Some(query.clone())).await.status, 401);
        let own = [("Cookie", &cookie[..]), PAGE];
        let help = ask(endpoint, "POST", "/portal/kql", &own, Some(query)).await;
        assert_eq!((help.status, &help.json()["completions"][0]["label"]), (200, &json!("where")));
        assert_eq!(ask(endpoint, "POST", "/portal/kql", &own, Some(json!({}))).await.status, 400);
        server.stop();
    });
}

#[test]
fn cookie_is_no_credential_for_another_site() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let cookie = signed_in(endpoint, &by_key(&server)).await;
        let own = format!("http://localhost:{}", endpoint.http);
        let host = format!("localhost:{}", endpoint.http);
        for (headers, status) in [
            (&[][..], 401),
            (&[PAGE], 200),
            (&[("X-Muster-Portal", "yes")], 401),
            (&[PAGE, ("Origin", &own), ("Sec-Fetch-Site", "same-origin")], 200),
            (&[PAGE, ("Origin", "https://evil.test")], 401),
            (&[PAGE, ("Origin", "null")], 401),
            (&[PAGE, ("Sec-Fetch-Site", "cross-site")], 401),
            (&[PAGE, ("Sec-Fetch-Site", "same-site")], 401),
        ] {
            let headers = [&[("Host", &host[..]), ("Cookie", &cookie)], headers].concat();
            let answer = ask(endpoint, "GET", &service(&server), &headers, None).await;
            assert_eq!(answer.status, status, "{headers:?}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
        // Nor may another site sign somebody in as somebody else, or out.
        for method in ["POST", "DELETE"] {
            let headers = [("Host", &host[..]), ("Cookie", &cookie), PAGE, ("Origin", "https://evil.test")];
            let refused = ask(endpoint, method, "/portal/session", &headers, Some(by_key(&server))).await;
            assert_eq!((refused.status, refused.headers.get("set-cookie")), (401, None), "{method}");
        }
        let headers = [("Host", "evil.test"), ("Cookie", &cookie[..]), PAGE];
        assert_eq!(ask(endpoint, "GET", "/portal/session", &headers, None).await.status, 421);
        let headers = [("Cookie", &cookie[..]), PAGE];
        assert_eq!(ask(endpoint, "GET", "/portal/session", &headers, None).await.status, 200);
        server.stop();
    });
}

#[test]
fn stranger_learns_nothing_and_is_slowed_down() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let connection = |policy: &str, key: &str| json!({"connectionString": format!("HostName=localhost;SharedAccessKeyName={policy};SharedAccessKey={key}")});
        for (body, status) in [
            (json!({}), 400),
            (json!([]), 400),
            (json!({"token": 7}), 400),
            (json!({"token": "a", "connectionString": "b"}), 400),
            (connection("provisioningserviceowner", "not base64!"), 400),
            (json!({"token": "x".repeat(20_000)}), 400),
            (json!({"connectionString": "x".repeat(5_000)}), 400),
        ] {
            assert_eq!(
                ask(endpoint, "POST", "/portal/session", &[PAGE], Some(body.clone())).await.status,
                status
            );
        }
        let public = |answer: &Answer| {
            let body = answer.json();
            (answer.status, body["error"].clone(), body["code"].clone())
        };
        let wrong = ask(
            endpoint,
            "POST",
            "/portal/session",
            &[PAGE],
            Some(connection("provisioningserviceowner", "AAAA")),
        );
        let unknown = ask(endpoint, "POST", "/portal/session", &[PAGE], Some(connection("nobody", "AAAA")));
        let (wrong, unknown) = (wrong.await, unknown.await);
        assert_eq!(public(&wrong), public(&unknown));
        assert_eq!(wrong.status, 401);
        // Bodies that could not be judged were no attempts.
        for _ in 2..10 {
            let refused =
                ask(endpoint, "POST", "/portal/session", &[PAGE], Some(json!({"token": "guess"}))).await;
            assert_eq!(refused.status, 401);
        }
        let slowed = ask(endpoint, "POST", "/portal/session", &[PAGE], Some(by_key(&server))).await;
        assert_eq!(slowed.status, 429);
        let wait: u32 = slowed.headers["retry-after"].parse().unwrap();
        assert!((1..=300).contains(&wait), "{wait}");
        let get = ask(endpoint, "PUT", "/portal/session", &[PAGE], None).await;
        assert_eq!((get.status, &get.headers["allow"][..]), (405, "GET, POST, DELETE"));
        server.stop();
    });
}

#[test]
fn session_over_tls_is_kept_to_tls_and_the_servers_token_opens_one() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let token = json!({"token": server.env["MUSTER_BEARER_TOKEN"]}).to_string();
        let mut http = endpoint.http().await.unwrap();
        let answer = http.ask("POST", "/portal/session", &[PAGE], Some(token.as_bytes())).await.unwrap();
        let cookie = &answer.headers["set-cookie"];
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let own = [("Cookie", cookie.split(';').next().unwrap()), PAGE];
        let shown = http.ask("GET", "/portal/session", &own, None).await.unwrap().json();
        assert_eq!((&shown["name"], &shown["kind"]), (&json!("management-token"), &json!("token")));
        assert_eq!(http.ask("GET", &service(&server), &own, None).await.unwrap().status, 200);
        assert_eq!(http.ask("GET", ENROLLMENT, &own, None).await.unwrap().status, 404);
        let health = http.ask("GET", "/health", &own, None).await.unwrap();
        assert_eq!((health.status, &health.json()["status"]), (200, &json!("ok")));
        assert_eq!(
            http.ask("GET", "/health", &[], None).await.unwrap().status,
            404,
            "strangers are told nothing"
        );
        let plain = ask(endpoint, "POST", "/portal/session", &[PAGE], Some(by_key(&server))).await;
        assert!(!plain.headers["set-cookie"].contains("Secure"), "a browser would not send it back");
        server.stop();
    });
}

#[test]
fn policy_without_a_right_is_told_so_and_is_still_signed_in() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let cookie = signed_in(endpoint, &by_key(&server)).await;
        let owner = [("Cookie", &cookie[..]), PAGE];
        let shown = ask(endpoint, "GET", &service(&server), &owner, None).await.json();
        let keys = format!("{}/listkeys?api-version=2022-02-05", server.env["MUSTER_RESOURCE_ID"]);
        let listed = ask(endpoint, "POST", &keys, &owner, None).await.json();
        let mut wanted = json!({
            "location": shown["location"], "sku": shown["sku"], "properties": {"authorizationPolicies": listed["value"]},
        });
        let looking = json!({"keyName": "looking", "rights": "EnrollmentRead"});
        wanted["properties"]["authorizationPolicies"].as_array_mut().unwrap().push(looking);
        let put = ask(endpoint, "PUT", &service(&server), &owner, Some(wanted)).await;
        assert!(put.status < 300, "{}", put.json());
        let listed = ask(endpoint, "POST", &keys, &owner, None).await.json();
        let policies = listed["value"].as_array().unwrap();
        let policy = policies.iter().find(|policy| policy["keyName"] == "looking").unwrap();
        let key = policy["primaryKey"].as_str().unwrap();
        let shown = format!("HostName=localhost;SharedAccessKeyName=looking;SharedAccessKey={key}");
        let cookie = signed_in(endpoint, &json!({"connectionString": shown})).await;
        let looking = [("Cookie", &cookie[..]), PAGE];
        let shown = ask(endpoint, "GET", "/portal/session", &looking, None).await.json();
        let may = json!({
            "readEnrollments": true, "writeEnrollments": false, "configure": false, "readRegistrations": false,
            "writeRegistrations": false, "writeRules": false, "queryWorkspace": true,
        });
        assert_eq!(shown["may"], may);
        assert_eq!(ask(endpoint, "GET", ENROLLMENT, &looking, None).await.status, 404);
        assert_eq!(ask(endpoint, "DELETE", ENROLLMENT, &looking, None).await.status, 403);
        assert_eq!(ask(endpoint, "GET", &service(&server), &looking, None).await.status, 200);
        assert_eq!(ask(endpoint, "POST", &keys, &looking, None).await.status, 403);
        assert_eq!(ask(endpoint, "GET", "/portal/session", &looking, None).await.status, 200);
        server.stop();
    });
}
