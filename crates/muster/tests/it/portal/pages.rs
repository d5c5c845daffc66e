//! The pages on both ports, and who may ask the APIs on the plain one.

use crate::harness::http::{Answer, Http};
use crate::harness::run;
use crate::harness::server::{Endpoint, Start};
use crate::harness::tls;

const ENROLLMENT: &str = "/enrollments/dev-1?api-version=2021-10-01";

async fn plain(endpoint: &Endpoint, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut http = Http::over(tls::tcp(endpoint.http).await.unwrap());
    http.ask(method, target, headers, None).await.unwrap()
}

#[test]
fn pages_are_served_on_both_ports_fenced_in() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let start = plain(endpoint, "GET", "/", &[]).await;
        assert_eq!((start.status, &start.headers["location"][..]), (307, "/portal/"));
        let over_tls = endpoint.http().await.unwrap().ask("GET", "/portal/", &[], None).await.unwrap();
        let page = plain(endpoint, "GET", "/portal/", &[]).await;
        assert_eq!(page.body, over_tls.body);
        for answer in [&page, &over_tls] {
            assert_eq!(
                (answer.status, &answer.headers["content-type"][..]),
                (200, "text/html; charset=utf-8")
            );
            assert!(answer.headers["content-security-policy"].contains("default-src 'none'"));
        }
        let held = plain(endpoint, "GET", "/portal/", &[("If-None-Match", &page.headers["etag"])]).await;
        assert_eq!((held.status, held.body.len()), (304, 0));
        for path in ["/portal/../dev.env", "/portal/%2e%2e/dev.env", "/portal/..%2f..%2fetc/passwd"] {
            assert_eq!(plain(endpoint, "GET", path, &[]).await.status, 404, "{path}");
        }
        server.stop();
    });
}

#[test]
fn plain_port_answers_the_apis_by_names_of_this_machine_alone() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let endpoint = &server.endpoint;
        let token = endpoint.service_token();
        let bearer = format!("Bearer {}", server.env["MUSTER_BEARER_TOKEN"]);
        let service = format!("{}?api-version=2022-02-05", server.env["MUSTER_RESOURCE_ID"]);
        let port = endpoint.http;
        for host in
            ["localhost".to_owned(), format!("127.0.0.1:{port}"), format!("muster-dev.localhost:{port}")]
        {
            let headers = [("Host", &host[..]), ("Authorization", &bearer)];
            assert_eq!(plain(endpoint, "GET", &service, &headers).await.status, 200, "{host}");
        }
        // 404: the token was good, the enrollment is not there.
        let asked = [("Authorization", &token[..])];
        assert_eq!(plain(endpoint, "GET", ENROLLMENT, &asked).await.status, 404);
        assert_eq!(plain(endpoint, "GET", ENROLLMENT, &[]).await.status, 401);
        for host in ["rebound.evil.test", "localhost.evil.test:80", "10.0.0.1", ""] {
            let headers = [("Host", host), ("Authorization", &bearer)];
            for path in [&service[..], "/portal/", ENROLLMENT] {
                assert_eq!(plain(endpoint, "GET", path, &headers).await.status, 421, "{host} {path}");
            }
        }
        // A device speaks TLS.
        let register = format!("/{}/registrations/dev-1/register?api-version=2021-06-01", endpoint.id_scope);
        assert_eq!(plain(endpoint, "PUT", &register, &[]).await.status, 404);
        server.stop();
    });
}

#[test]
fn plain_port_survives_what_is_too_large() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Start::on(folder.path()).with_metrics().server().await;
        let cookie = "a=".to_owned() + &"x".repeat(64 * 1024);
        let refused = plain(&server.endpoint, "GET", "/portal/", &[("Cookie", &cookie)]).await;
        assert_eq!(refused.status, 431);
        assert_eq!(plain(&server.endpoint, "GET", "/portal/", &[]).await.status, 200);
        server.stop();
    });
}
