//! Monitoring's port for resources, over the provisioning services of this server.

use std::sync::Arc;

use dps_core::Instances;
use dps_model::instance::Instance;
use dps_monitor::{Resource, Resources};

/// The provisioning services as resources.
pub struct InstanceResources(pub Arc<Instances>);

impl Resources for InstanceResources {
    fn find(&self, instance: Option<&str>) -> Option<Resource> {
        let found = match instance {
            Some(name) => self.0.by_name(name)?,
            None => self.0.default_instance(),
        };
        let Instance { resource_id, location, .. } = found.as_ref();
        Some(Resource { id: resource_id.clone(), location: location.clone() })
    }
}
