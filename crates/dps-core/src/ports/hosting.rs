//! The hosting port: who makes a provisioning service reachable under host names of its own, with certificates for them.
//! Must not know what a service does for its callers.

use async_trait::async_trait;
use dps_model::Error;
use dps_model::instance::Instance;

/// Where a provisioning service is reached, without ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNames {
    /// Of the service API (`serviceOperationsHostName`).
    pub service: String,
    /// Of the device API (`deviceProvisioningHostName`); all services of a server may share one.
    pub device: String,
    /// Of the portal (`portalOperationsHostName`).
    pub portal: String,
}

/// Gives provisioning services their host names.
#[async_trait]
pub trait Hosting: Send + Sync + 'static {
    /// Lets the service answer under its host names, with a certificate for them; doing it again does no harm.
    async fn host(&self, instance: &Instance) -> Result<(), Error>;

    /// Ends that.
    async fn unhost(&self, instance: &Instance);

    /// Where it is reached.
    fn host_names(&self, instance: &Instance) -> HostNames;

    /// Does a host name of that first label mean something else on this server?
    fn is_reserved(&self, name: &str) -> bool;
}
