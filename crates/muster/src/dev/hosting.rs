//! Host names of the provisioning services of a development server: `{name}.{host}`, each with a certificate of the dev CA
//! that is issued when the service is made and anew at every start. Must not know what a service does.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::ports::{Clock, HostNames, Hosting};
use dps_device_api::{Identity, ServerTls};
use dps_model::instance::Instance;
use dps_model::{Error, HubName};

use super::authority::Authority;

/// Where services stand when the server is named by addresses alone: nothing stands below an address.
const WITHOUT_A_NAME: &str = "localhost";

/// Gives services their host names.
pub struct DevHosting {
    authority: Authority,
    tls: Arc<ServerTls>,
    clock: Arc<dyn Clock>,
    /// Name of the service that answers under the server's own names.
    default: &'static str,
    /// What devices dial.
    device: String,
    /// The server's host names, without addresses.
    hosts: Vec<String>,
    /// First labels of every name of the server.
    labels: Vec<String>,
}

impl DevHosting {
    /// The names of services on a server that has those.
    pub fn new(
        authority: Authority,
        tls: Arc<ServerTls>,
        clock: Arc<dyn Clock>,
        default: &'static str,
        hosts: &[String],
        hubs: &[HubName],
    ) -> Self {
        let device = hosts.first().map_or(WITHOUT_A_NAME, String::as_str).to_owned();
        let all = hosts.iter().map(String::as_str).chain(hubs.iter().map(HubName::as_str));
        let labels = all.map(|name| first_label(name).to_ascii_lowercase()).collect();
        let mut hosts: Vec<String> =
            hosts.iter().filter(|host| host.parse::<IpAddr>().is_err()).cloned().collect();
        if hosts.is_empty() {
            hosts.push(WITHOUT_A_NAME.to_owned());
        }
        Self { authority, tls, clock, default, device, hosts, labels }
    }

    fn names(&self, instance: &Instance) -> Vec<String> {
        let name = instance.name.to_ascii_lowercase();
        self.hosts.iter().map(|host| format!("{name}.{host}")).collect()
    }
}

#[async_trait]
impl Hosting for DevHosting {
    async fn host(&self, instance: &Instance) -> Result<(), Error> {
        let names = self.names(instance);
        let issued = self.authority.issue(&names, self.clock.now());
        let issued = issued.map_err(|error| Error::internal(format!("{error:#}")))?;
        let identity = Identity::from_pem(issued.chain.as_bytes(), issued.key.as_bytes());
        let identity = identity.map_err(Error::internal)?;
        names.iter().try_for_each(|name| self.tls.put(name, &identity)).map_err(Error::internal)
    }

    async fn unhost(&self, instance: &Instance) {
        self.names(instance).iter().for_each(|name| self.tls.remove(name));
    }

    fn host_names(&self, instance: &Instance) -> HostNames {
        let own = if instance.name.eq_ignore_ascii_case(self.default) {
            self.device.clone()
        } else {
            self.names(instance).into_iter().next().unwrap_or_default()
        };
        HostNames { service: own.clone(), device: self.device.clone(), portal: own }
    }

    /// A service named as a host of this server begins would answer in its place.
    fn is_reserved(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.eq_ignore_ascii_case(name))
    }
}

fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}
