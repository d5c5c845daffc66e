//! A storage account as its connection string names it. Owns the string's parts; must not know requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use reqwest::Url;

use crate::http::{SetupError, is_here};
use crate::limits::MAX_CONNECTION_STRING;

/// How requests show that they may be made.
#[derive(Clone)]
pub enum Credential {
    /// A signature by the account's key.
    SharedKey(Secret),
    /// A shared access signature, `sv=…&sig=…`, that each URL carries.
    Sas(Secret),
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Where its blobs are, without a slash at the end.
    pub endpoint: Url,
    /// How to get in.
    pub credential: Credential,
}

impl Account {
    /// Of a connection string: `AccountName` and `AccountKey`, or `BlobEndpoint` and `SharedAccessSignature`.
    pub fn parse(text: &Secret) -> Result<Self, SetupError> {
        let wrong = |why: &str| SetupError(format!("the storage account's connection string {why}"));
        let text = std::str::from_utf8(text.expose()).map_err(|_| wrong("is no text"))?;
        if text.len() > MAX_CONNECTION_STRING {
            return Err(wrong(&format!("is longer than {MAX_CONNECTION_STRING} bytes")));
        }
        let part = |name: &str| {
            let parts = text.trim().split(';').filter_map(|part| part.split_once('='));
            let mut named = parts.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        let name = part("AccountName").unwrap_or_default().to_owned();
        let credential = match (part("AccountKey"), part("SharedAccessSignature")) {
            (Some(key), _) => {
                let key = STANDARD.decode(key).map_err(|_| {
                    wrong(
                        "has an AccountKey that is not base64; copy it again from the account's access keys",
                    )
                })?;
                Credential::SharedKey(Secret::new(key))
            }
            (None, Some(sas)) => Credential::Sas(Secret::from(sas.trim_start_matches('?').to_owned())),
            (None, None) => return Err(wrong("has neither AccountKey nor SharedAccessSignature")),
        };
        if name.is_empty()
            && (part("BlobEndpoint").is_none() || matches!(credential, Credential::SharedKey(_)))
        {
            return Err(wrong("lacks AccountName"));
        }
        let endpoint = match part("BlobEndpoint") {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!(
                "{}://{name}.blob.{}",
                part("DefaultEndpointsProtocol").unwrap_or("https"),
                part("EndpointSuffix").unwrap_or("core.windows.net")
            ),
        };
        let endpoint = Url::parse(&endpoint).ok();
        let endpoint = endpoint.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = endpoint.ok_or_else(|| wrong("does not lead to an http or https URL"))?;
        if endpoint.query().is_some() {
            return Err(wrong("has a BlobEndpoint with a query; give the SAS as SharedAccessSignature=…"));
        }
        let in_the_clear = endpoint.scheme() == "http" && !is_here(endpoint.host_str().unwrap_or_default());
        if in_the_clear && matches!(credential, Credential::Sas(_)) {
            return Err(wrong("would send its SharedAccessSignature without TLS; use https"));
        }
        Ok(Self { name, endpoint, credential })
    }
}

#[cfg(test)]
mod tests {
    use dps_model::Secret;

    use super::{Account, Credential};

    fn parse(text: &str) -> Result<Account, String> {
        Account::parse(&Secret::from(text.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn account_is_read_from_both_kinds_of_strings() {
        let by_key = parse(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.x.net",
        )
        .unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((by_key.name.as_str(), by_key.endpoint.as_str()), ("a", "https://a.blob.core.x.net/"));
        assert!(matches!(by_key.credential, Credential::SharedKey(key) if key.matches(b"secret")));
        let by_sas = parse("BlobEndpoint=http://127.0.0.1:10000/a/;SharedAccessSignature=?sv=1&sig=x%3D=")
            .unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(by_sas.endpoint.as_str(), "http://127.0.0.1:10000/a");
        assert!(matches!(by_sas.credential, Credential::Sas(sas) if sas.matches(b"sv=1&sig=x%3D=")));
    }

    #[test]
    fn string_that_cannot_be_used_is_refused_without_its_secret() {
        for (text, why) in [
            ("", "neither AccountKey nor"),
            ("AccountName=a", "neither AccountKey nor"),
            ("AccountKey=c2VjcmV0", "lacks AccountName"),
            ("SharedAccessSignature=s3cret", "lacks AccountName"),
            ("AccountName=a;AccountKey=s3cret!", "not base64"),
            ("AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=ftp://x", "does not lead to"),
            ("AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=https://x/?sv=s3cret", "with a query"),
            ("BlobEndpoint=http://a.example;SharedAccessSignature=s3cret", "without TLS"),
            ("AccountName=a b;AccountKey=c2VjcmV0", "does not lead to"),
        ] {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains(why) && !error.contains("s3cret"), "{text}: {error}");
        }
        assert!(parse(&"x".repeat(5_000)).is_err());
    }
}
