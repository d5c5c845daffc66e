//! Which right opens which route: a golden table.

use std::fmt::Write as _;

use crate::bed::{Bed, POLICIES, ask, token};

const ROUTES: [(&str, &str); 17] = [
    ("PUT", "/enrollments/a"),
    ("GET", "/enrollments/a"),
    ("DELETE", "/enrollments/a"),
    ("POST", "/enrollments/a/attestationmechanism"),
    ("POST", "/enrollments"),
    ("POST", "/enrollments/query"),
    ("PUT", "/enrollmentGroups/a"),
    ("GET", "/enrollmentGroups/a"),
    ("DELETE", "/enrollmentGroups/a"),
    ("POST", "/enrollmentGroups/a/attestationmechanism"),
    ("POST", "/enrollmentGroups"),
    ("POST", "/enrollmentGroups/query"),
    ("GET", "/registrations/a"),
    ("DELETE", "/registrations/a"),
    ("POST", "/registrations/a/query"),
    ("PATCH", "/enrollments/a"),
    ("GET", "/registrations"),
];

/// What each policy gets for a request without a body: past the door are 415 (no JSON), 404 (nothing there, or not
/// yet), never 401. Routes that do not exist say so to everybody.
const GOLDEN: &str = "\
                                              owner  Config ERead  EWrite DevCon RRead  RWrite
PUT    /enrollments/a                         415000 401000 401000 415000 401000 401000 401000
GET    /enrollments/a                         404201 401000 404201 404201 401000 401000 401000
DELETE /enrollments/a                         404201 401000 401000 404201 401000 401000 401000
POST   /enrollments/a/attestationmechanism    404201 401000 401000 404201 401000 401000 401000
POST   /enrollments                           415000 401000 401000 415000 401000 401000 401000
POST   /enrollments/query                     415000 401000 415000 415000 401000 401000 401000
PUT    /enrollmentGroups/a                    415000 401000 401000 415000 401000 401000 401000
GET    /enrollmentGroups/a                    404201 401000 404201 404201 401000 401000 401000
DELETE /enrollmentGroups/a                    404201 401000 401000 404201 401000 401000 401000
POST   /enrollmentGroups/a/attestationmechanism 404201 401000 401000 404201 401000 401000 401000
POST   /enrollmentGroups                      415000 401000 401000 415000 401000 401000 401000
POST   /enrollmentGroups/query                415000 401000 415000 415000 401000 401000 401000
GET    /registrations/a                       404202 401000 401000 401000 401000 404202 404202
DELETE /registrations/a                       404202 401000 401000 401000 401000 401000 404202
POST   /registrations/a/query                 200 401000 401000 401000 401000 200 200
PATCH  /enrollments/a                         405000 405000 405000 405000 405000 405000 405000
GET    /registrations                         404000 404000 404000 404000 404000 404000 404000
";

#[tokio::test]
async fn rights_of_every_route_as_in_the_table() {
    let bed = Bed::new().await;
    let mut table = GOLDEN.lines().next().unwrap().to_owned() + "\n";
    for (method, path) in ROUTES {
        let _ = write!(table, "{method:6} {path:38}");
        for (policy, _) in POLICIES {
            let reply = bed.call(ask(method, path).header("authorization", &token(policy))).await;
            let _ = write!(table, " {}", reply.code());
        }
        table.push('\n');
    }
    assert_eq!(table, GOLDEN);
}

#[tokio::test]
async fn caller_without_a_good_token_gets_401_and_no_reason() {
    let bed = Bed::new().await;
    for (authorization, reason) in [
        ("", "CREDENTIAL_MISSING"),
        ("Basic abc", "CREDENTIAL_OTHER_KIND"),
        ("Bearer abc", "NO_IDENTITY_PROVIDER"),
        ("SharedAccessSignature sr=localhost", "SAS_MALFORMED"),
        (&token("EnrollmentRead"), "RIGHT_MISSING"),
    ] {
        let reply = bed.call(ask("DELETE", "/enrollments/a").header("authorization", authorization)).await;
        let event = bed.event();
        assert_eq!((reply.code().as_str(), &reply.json()["message"]), ("401000", &"Unauthorized".into()));
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["SharedAccessSignature", "Bearer"]);
        assert!(!reply.text.contains(reason));
        assert!(format!("{:?}", event.outcome).contains(reason), "{:?}", event.outcome);
        assert_eq!(event.caller, None);
    }
}

#[tokio::test]
async fn token_for_another_host_refused() {
    let bed = Bed::new().await;
    let reply = bed.call(ask("GET", "/enrollments/a").header("host", "other:8443")).await;
    assert_eq!(reply.code(), "401000");
    // HTTP/2 names the host in the URI; it wins.
    let uri = "https://localhost:8443/enrollments/a?api-version=2021-10-01";
    assert_eq!(
        bed.call(ask("GET", "/enrollments/a").uri(uri).header("host", "other")).await.code(),
        "404201"
    );
    assert_eq!(bed.call(ask("GET", "/enrollments/a").without("host")).await.code(), "401000");
}
