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
                // The standard library tells a resolver's "try again" (EAI_AGAIN) only by its text.
                Err(error) if error.to_string().contains("emporary failure") => Err(error.into()),
                Err(_) => Err(NameNotFound(name.as_str().to_owned()).into()),
            }
        })
    }
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
