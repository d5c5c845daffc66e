//! CA certificates over ARM: uploaded in either form of body, proven, replaced, deleted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::bed::{Bed, DEFAULT, ask};

/// A certificate authority and its certificate as PEM.
pub struct Ca(Issuer<'static, KeyPair>, pub String);

pub fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Plant");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Ca(Issuer::new(params, key), pem)
}

impl Ca {
    pub fn proof(&self, code: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, code);
        STANDARD.encode(params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().pem())
    }
}

fn path(rest: &str) -> String {
    format!("{DEFAULT}/certificates{rest}")
}

fn etag(shown: &Value) -> &str {
    shown["etag"].as_str().unwrap()
}

#[tokio::test]
async fn certificate_is_uploaded_proven_and_deleted() {
    let (bed, ca) = (Bed::new().await, ca());
    let body = json!({"properties": {"certificate": STANDARD.encode(&ca.1)}});
    let made = bed.call(ask("PUT", &path("/plant")).json(&body)).await.ok();
    let properties = &made["properties"];
    assert_eq!((&properties["subject"], &properties["isVerified"]), (&json!("CN=Plant"), &json!(false)));
    assert_eq!(properties["certificate"], Value::Null);
    assert_eq!(properties["created"], "Tue, 01 Dec 2026 00:00:00 GMT");
    assert!(properties["expiry"].as_str().unwrap().ends_with(" GMT"));
    assert_eq!(properties["thumbprint"].as_str().unwrap().len(), 40);
    assert_eq!(made["type"], "Microsoft.Devices/provisioningServices/Certificates");
    assert_eq!(bed.get(&path("/PLANT")).await.ok(), made);
    assert_eq!(bed.get(&path("")).await.ok(), json!({"value": [made]}));

    let generate = ask("POST", &path("/plant/generateVerificationCode"));
    assert_eq!(bed.call(generate).await.status, 412, "without If-Match");
    let generate = ask("POST", &path("/plant/generateVerificationCode")).header("if-match", etag(&made));
    let coded = bed.call(generate).await.ok();
    assert_ne!(etag(&coded), etag(&made));
    let code = coded["properties"]["verificationCode"].as_str().unwrap();
    let pem = STANDARD.decode(coded["properties"]["certificate"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(pem).unwrap().replace("\r\n", "\n"), ca.1.replace("\r\n", "\n"));

    let verify = |proof: String| {
        ask("POST", &path("/plant/verify")).header("if-match", "*").json(&json!({"certificate": proof}))
    };
    let refused = bed.call(verify(ca.proof("something else"))).await.refusal();
    assert_eq!(refused.0, 400);
    assert!(refused.2.contains("its common name is \"something else\""), "{}", refused.2);
    let verified = bed.call(verify(ca.proof(code))).await.ok();
    assert_eq!(verified["properties"]["isVerified"], true);
    assert_eq!(bed.call(ask("DELETE", &path("/plant"))).await.status, 412, "without If-Match");
    let delete = ask("DELETE", &path("/plant")).header("if-match", etag(&verified));
    let gone = bed.call(delete).await;
    assert_eq!((gone.status, gone.text.as_str()), (200, ""));
    assert_eq!(bed.call(ask("DELETE", &path("/plant"))).await.status, 204);
    assert_eq!(bed.get(&path("/plant")).await.refusal().1, "ResourceNotFound");
}

#[tokio::test]
async fn flat_body_of_older_versions_is_taken_and_wrong_ones_are_named() {
    let (bed, ca) = (Bed::new().await, ca());
    let flat = json!({"certificate": STANDARD.encode(&ca.1), "isVerified": true});
    let uri = format!("{}?api-version=2021-10-15", path("/plant"));
    let made = bed.call(ask("PUT", "").uri(&uri).json(&flat)).await.ok();
    assert_eq!(made["properties"]["isVerified"], true);
    let again = bed.call(ask("PUT", &path("/plant")).json(&flat)).await.refusal();
    assert_eq!((again.0, again.1.as_str()), (412, "PreconditionFailed"));
    for (body, said) in [
        (json!({}), "certificate is required."),
        (json!({"properties": {"certificate": 1}}), "properties.certificate must be a text."),
        (json!({"certificate": "AQID"}), "certificate is not accepted"),
        (json!({"certificate": ca.1, "isVerified": "yes"}), "isVerified must be true or false."),
    ] {
        let (status, _, message) = bed.call(ask("PUT", &path("/other")).json(&body)).await.refusal();
        assert!(status == 400 && message.starts_with(said), "{body}: {message}");
    }
}
