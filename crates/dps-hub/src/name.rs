//! Host names of hubs. Owns telling a name that does not exist from one that cannot be asked about now.

use std::error::Error;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The name does not exist: the hub is gone, or was never there.
#[derive(Debug)]
pub(crate) struct NameNotFound(String);

impl std::fmt::Display for NameNotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the host name {} does not resolve", self.0)
    }
}

impl Error for NameNotFound {}

/// The machine's resolver.
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => {
                    let found: Vec<SocketAddr> = found.collect();
                    Ok(Box::new(found.into_iter()) as Addrs)
                }
                Err(error) if is_missing(&error) => Err(NameNotFound(name.as_str().to_owned()).into()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// Did a resolver say that there is no such name, or no address of it? The standard library tells that from "try again"
/// and from trouble of this machine only by the text of the C library (glibc's, then musl's).
fn is_missing(error: &std::io::Error) -> bool {
    const SAID: [&str; 4] = [
        "ame or service not known",
        "o address associated",
        "ame does not resolve",
        "ame has no usable address",
    ];
    let text = error.to_string();
    SAID.iter().any(|said| text.contains(said))
}

/// The missing name among an error's causes.
pub(crate) fn missing<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a NameNotFound> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reqwest::dns::{Name, Resolve, Resolving};
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::{NameNotFound, missing};

    struct Nowhere;

    impl Resolve for Nowhere {
        fn resolve(&self, name: Name) -> Resolving {
            Box::pin(async move { Err(NameNotFound(name.as_str().to_owned()).into()) })
        }
    }

    #[tokio::test]
    async fn name_that_does_not_exist_is_told_from_a_machine_in_trouble() {
        let unknown = tokio::net::lookup_host(("no-such-host.invalid", 0)).await.err().unwrap();
        let again = unknown.to_string().contains("emporary failure"); // a machine without a network
        assert!(super::is_missing(&unknown) || again, "{unknown}");
        for errno in [5, 24] {
            // EIO, EMFILE
            assert!(!super::is_missing(&std::io::Error::from_raw_os_error(errno)));
        }
        let text = "failed to lookup address information: Non-recoverable failure in name resolution";
        assert!(!super::is_missing(&std::io::Error::other(text)));
        let text = "failed to lookup address information: No address associated with hostname";
        assert!(super::is_missing(&std::io::Error::other(text)));
    }

    #[tokio::test]
    async fn missing_name_found_below_the_clients_error() {
        let made = rcgen::generate_simple_self_signed(vec!["root".into()]).unwrap();
        let root = made.cert.der().clone();
        let tls = crate::client_config(Arc::new(default_provider()), [root]).unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Nowhere))
            .no_proxy()
            .build()
            .unwrap();
        let error = client.get("https://gone.azure-devices.net/devices/d").send().await.unwrap_err();
        let found = missing(&error).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some("the host name gone.azure-devices.net does not resolve"));
    }
}
