//! Signature Version 4 ("Create a signed AWS API request"). Owns the canonical request and the chain of keys; must not know
//! what is asked.

use dps_model::Secret;

use crate::signing::{hmac_sha256, sha256};

/// Who signs.
#[derive(Clone)]
pub struct Credentials {
    /// Access key id.
    pub key_id: String,
    /// Secret access key.
    pub key: Secret,
    /// Session token of temporary credentials.
    pub token: Option<Secret>,
}

/// What is signed. Headers are in lower case and sorted by name.
pub struct Signed<'a> {
    pub method: &'a str,
    /// Encoded path.
    pub path: &'a str,
    /// Encoded query, sorted by name, as [`crate::signing::query`] writes it.
    pub query: &'a str,
    pub headers: &'a [(&'a str, String)],
    /// SHA-256 of the body, in hexadecimal.
    pub payload: &'a str,
}

/// Where and when.
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
    /// `20130524T000000Z`
    pub time: &'a str,
}

/// The `Authorization` header.
pub fn authorization(credentials: &Credentials, scope: &Scope<'_>, signed: &Signed<'_>) -> String {
    let names: Vec<&str> = signed.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: Vec<String> =
        signed.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let headers = headers.concat();
    let Signed { method, path, query, payload, .. } = signed;
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{payload}");
    let Scope { region, service, time } = scope;
    let day = time.get(..8).unwrap_or(time);
    let place = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{}", hex::encode(sha256(canonical.as_bytes())));
    let mut key = [b"AWS4", credentials.key.expose()].concat();
    for part in [day, region, service, "aws4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let signature = hex::encode(hmac_sha256(&key, text.as_bytes()));
    let id = &credentials.key_id;
    format!("AWS4-HMAC-SHA256 Credential={id}/{place},SignedHeaders={names},Signature={signature}")
}

#[cfg(test)]
mod tests {
    use dps_model::Secret;

    use super::{Credentials, Scope, Signed, authorization};
    use crate::signing::sha256;

    /// The example "PUT Object" of Amazon's documentation.
    #[test]
    fn signature_is_the_one_of_amazons_example() {
        let credentials = Credentials {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            key: Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: None,
        };
        let payload = hex::encode(sha256(b"Welcome to Amazon S3."));
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
            ("host", "examplebucket.s3.amazonaws.com".to_owned()),
            ("x-amz-content-sha256", payload.clone()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
        ];
        let signed = Signed {
            method: "PUT",
            path: "/test%24file.text",
            query: "",
            headers: &headers,
            payload: &payload,
        };
        let scope = Scope { region: "us-east-1", service: "s3", time: "20130524T000000Z" };
        let header = authorization(&credentials, &scope, &signed);
        assert!(
            header.ends_with("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{header}"
        );
        assert!(header.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        ));
    }

    /// The example "GET Bucket (List Objects)".
    #[test]
    fn query_is_part_of_what_is_signed() {
        let credentials = Credentials {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            key: Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            token: None,
        };
        let payload = hex::encode(sha256(b""));
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com".to_owned()),
            ("x-amz-content-sha256", payload.clone()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
        ];
        let query = crate::signing::query(&[("max-keys", "2"), ("prefix", "J")]);
        let signed = Signed { method: "GET", path: "/", query: &query, headers: &headers, payload: &payload };
        let scope = Scope { region: "us-east-1", service: "s3", time: "20130524T000000Z" };
        let header = authorization(&credentials, &scope, &signed);
        assert!(
            header.ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            "{header}"
        );
    }
}
