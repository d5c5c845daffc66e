//! Host names of the provisioning services of a production server: those that the file gives them, else a name below a
//! wildcard of the server certificates. Nothing is issued here: certificates are the operator's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::{HostNames, Hosting};
use dps_model::Error;
use dps_model::instance::Instance;

use super::certificates::Certificates;
use crate::config::DeclaredInstance;

/// Where a server stands whose certificates name no host.
const WITHOUT_A_NAME: &str = "localhost";

/// Gives services their host names.
pub struct OwnHosting {
    certificates: Arc<Certificates>,
    /// The first host name that the file gives, by lower-case name of the instance.
    given: HashMap<String, String>,
    /// How the host names begin that the file gives, in lower case.
    labels: HashSet<String>,
}

impl OwnHosting {
    /// As the file and the certificates say.
    pub fn new(certificates: Arc<Certificates>, declared: &[DeclaredInstance]) -> Self {
        let given = declared.iter().filter_map(|instance| {
            Some((instance.name.to_ascii_lowercase(), instance.hosts.first()?.clone()))
        });
        let hosts = declared.iter().flat_map(|instance| &instance.hosts);
        let labels = hosts.filter_map(|host| Some(host.split('.').next()?.to_ascii_lowercase()));
        Self { certificates, given: given.collect(), labels: labels.collect() }
    }

    /// The host by which the service API of that instance is called.
    pub fn service(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        if let Some(given) = self.given.get(&name) {
            return given.clone();
        }
        let hosts = self.certificates.hosts();
        let below = hosts.iter().find_map(|host| Some(format!("{name}.{}", host.strip_prefix("*.")?)));
        below.unwrap_or_else(|| self.device())
    }

    /// What devices dial.
    fn device(&self) -> String {
        let hosts = self.certificates.hosts();
        let plain = hosts.into_iter().find(|host| !host.starts_with("*."));
        plain.unwrap_or_else(|| WITHOUT_A_NAME.to_owned())
    }
}

#[async_trait]
impl Hosting for OwnHosting {
    /// It answers at once. That no certificate names it is told: clients that check names refuse it until one does.
    async fn host(&self, instance: &Instance) -> Result<(), Error> {
        let host = self.service(&instance.name);
        if !self.certificates.cover(&host) {
            tracing::warn!(instance = instance.name, host, "no server certificate names this host");
        }
        Ok(())
    }

    async fn unhost(&self, _instance: &Instance) {}

    fn host_names(&self, instance: &Instance) -> HostNames {
        let service = self.service(&instance.name);
        HostNames { device: self.device(), portal: service.clone(), service }
    }

    /// A service named as a host of this server begins would answer in its place.
    fn is_reserved(&self, name: &str) -> bool {
        let hosts = self.certificates.hosts();
        self.labels.contains(&name.to_ascii_lowercase())
            || hosts
                .iter()
                .any(|host| host.split('.').next().is_some_and(|label| label.eq_ignore_ascii_case(name)))
    }
}

#[cfg(test)]
mod tests {
    use dps_core::ports::SystemClock;

    use super::*;
    use crate::config::CertificateFiles;

    #[test]
    fn name_that_begins_a_host_of_the_server_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params =
            rcgen::CertificateParams::new(vec!["iot.example.com".into(), "*.example.com".into()]).unwrap();
        let (chain, secret) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        let files = CertificateFiles { chain, key: secret, hosts: Vec::new() };
        let certificates = Certificates::load(vec![files], Arc::new(SystemClock::new())).unwrap();
        let mut factory = crate::serve::declared::tests::declared("factory");
        factory.hosts = vec!["Devices.example.com".to_ascii_lowercase(), "plant.example.com".into()];
        let hosting = OwnHosting::new(certificates, &[factory]);
        for taken in ["iot", "Devices", "plant"] {
            assert!(hosting.is_reserved(taken), "{taken}");
        }
        assert!(!hosting.is_reserved("north"));
        assert_eq!(hosting.service("factory"), "devices.example.com");
        assert_eq!(hosting.service("north"), "north.example.com");
    }
}
