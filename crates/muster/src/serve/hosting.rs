//! Host names of the provisioning services of a production server: those that the file gives them, else a name below a
//! wildcard of the server certificates. Nothing is issued here: certificates are the operator's.

use std::collections::HashMap;
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
}

impl OwnHosting {
    /// As the file and the certificates say.
    pub fn new(certificates: Arc<Certificates>, declared: &[DeclaredInstance]) -> Self {
        let given = declared.iter().filter_map(|instance| {
            Some((instance.name.to_ascii_lowercase(), instance.hosts.first()?.clone()))
        });
        Self { certificates, given: given.collect() }
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
        hosts.iter().any(|host| host.split('.').next().is_some_and(|label| label.eq_ignore_ascii_case(name)))
    }
}
