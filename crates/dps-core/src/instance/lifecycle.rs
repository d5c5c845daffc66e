//! What follows the write that makes an instance or dooms it: it is hosted and becomes active; its rows go and then itself.
//! Both are begun again after a restart. Owns the order and the persistence; must not know host names or certificates.

use std::sync::Arc;
use std::time::Duration;

use dps_model::etag::IfMatch;
use dps_model::instance::{Instance, InstanceState};
use dps_model::{Error, ErrorCode, limits};

use super::{Change, Instances};
use crate::ports::Hosting;

/// Makes and unmakes instances.
#[derive(Clone)]
pub struct Lifecycle {
    instances: Arc<Instances>,
    hosting: Arc<dyn Hosting>,
}

impl Lifecycle {
    /// The life of those instances.
    pub fn new(instances: Arc<Instances>, hosting: Arc<dyn Hosting>) -> Self {
        Self { instances, hosting }
    }

    /// Who gives them their host names.
    pub fn hosting(&self) -> &dyn Hosting {
        self.hosting.as_ref()
    }

    /// Is the name free? A host name's first label belongs to one thing.
    pub async fn is_free(&self, name: &str) -> Result<bool, Error> {
        Ok(!self.hosting.is_reserved(name) && !self.instances.is_stored(name).await?)
    }

    /// Writes a new instance, which becomes active by itself.
    /// Errors: `InstanceExists`, `QuotaExceeded`.
    pub async fn create(&self, mut instance: Instance) -> Result<Change, Error> {
        if self.hosting.is_reserved(&instance.name) {
            return Err(Error::new(ErrorCode::InstanceExists)
                .because("the name is the first label of a host name of this server"));
        }
        if self.instances.all().len() >= limits::MAX_INSTANCES {
            return Err(Error::with(
                ErrorCode::QuotaExceeded,
                format!(
                    "This server has {} provisioning services, the most it takes; delete one first.",
                    limits::MAX_INSTANCES
                ),
            ));
        }
        instance.resource.state = InstanceState::Activating;
        let change = self.instances.create(instance).await?;
        self.activate(&change.instance);
        Ok(change)
    }

    /// Hosts an instance on a task of its own, until it is active or gone.
    pub fn activate(&self, instance: &Arc<Instance>) {
        let (life, name) = (self.clone(), instance.name.clone());
        tokio::spawn(async move {
            let mut pause = Pause::default();
            while let Some(instance) = life.instances.by_name(&name) {
                match life.host(&instance).await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::error!(instance = name, %error, "a provisioning service is not hosted yet");
                    }
                }
                pause.wait().await;
            }
        });
    }

    /// Takes an instance out of service; its rows and then itself are removed on a task.
    /// Errors: those of `Instances::begin_deletion`.
    pub async fn delete(&self, known: &Instance, if_match: Option<&IfMatch>) -> Result<Change, Error> {
        let change = self.instances.begin_deletion(known, if_match).await?;
        self.hosting.unhost(&change.instance).await;
        let (life, name) = (self.clone(), change.instance.name.clone());
        tokio::spawn(async move {
            let mut pause = Pause::default();
            while let Err(error) = life.instances.purge(&name).await {
                tracing::error!(instance = name, %error, "the rows of a deleted provisioning service remain for now");
                pause.wait().await;
            }
        });
        Ok(change)
    }

    /// At start: hosts every instance and ends deletions that were begun.
    pub async fn resume(&self) {
        for instance in self.instances.all() {
            if let Err(error) = self.host(&instance).await {
                tracing::error!(instance = instance.name, %error, "a provisioning service is not hosted yet");
                self.activate(&instance);
            }
        }
        let instances = Arc::clone(&self.instances);
        tokio::spawn(async move {
            let mut pause = Pause::default();
            while let Err(error) = instances.resume_deletions().await {
                tracing::error!(%error, "rows of deleted provisioning services remain for now");
                pause.wait().await;
            }
        });
    }

    async fn host(&self, instance: &Instance) -> Result<(), Error> {
        let hosted = self.hosting.host(instance).await;
        let state = if hosted.is_ok() { InstanceState::Active } else { InstanceState::ActivationFailed };
        let begun = instance.resource.state != InstanceState::Active;
        if begun && state != instance.resource.state {
            let became = |instance: &mut Instance| {
                instance.resource.state = state;
                Ok(())
            };
            match self.instances.change(instance, None, became).await {
                Err(error) if error.code == ErrorCode::InstanceNotFound => {
                    self.hosting.unhost(instance).await; // deleted meanwhile
                }
                changed => _ = changed?,
            }
        }
        hosted
    }
}

/// The time until the next attempt: doubled with each, up to a bound.
#[derive(Default)]
struct Pause(u64);

impl Pause {
    async fn wait(&mut self) {
        self.0 = (self.0 * 2).clamp(1, limits::MAX_LIFECYCLE_PAUSE);
        tokio::time::sleep(Duration::from_secs(self.0)).await;
    }
}
