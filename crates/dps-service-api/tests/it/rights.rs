//! Callers that are not let in: what they hear, and what the operator reads.

use crate::bed::{Bed, ask, token};

#[tokio::test]
async fn caller_without_a_good_token_gets_401_and_no_reason() {
    let bed = Bed::new().await;
    for (authorization, reason) in [
        ("", "CREDENTIAL_MISSING"),
        ("Basic abc", "CREDENTIAL_OTHER_KIND"),
        ("Bearer abc", "BEARER_MALFORMED"),
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
