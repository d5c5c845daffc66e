//! Asynchronous operations (ARM: "Track asynchronous Azure operations"). An operation's id says all there is to know of
//! it, so nothing is kept: how far it has come is read from the instance, after a restart too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_core::Instances;
use dps_model::instance::{Instance, InstanceState};
use dps_model::{Error, ErrorCode, limits};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::answer::Follow;
use crate::api_version::ApiVersion;
use crate::resource_id::Parts;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Update,
    Delete,
}

const KINDS: [(&str, Kind); 3] =
    [("create", Kind::Create), ("update", Kind::Update), ("delete", Kind::Delete)];

/// An operation on an instance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    /// Tells the instance from a later one of the same name.
    id_scope: String,
    /// Of the instance.
    pub(crate) resource_id: String,
}

/// How far an operation has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    Succeeded,
    Failed(&'static str),
}

impl Operation {
    pub(crate) fn on(kind: Kind, instance: &Instance) -> Self {
        let id_scope = instance.id_scope.as_str().to_owned();
        Self { kind, id_scope, resource_id: instance.resource_id.clone() }
    }

    fn id(&self) -> String {
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| *name);
        URL_SAFE_NO_PAD.encode(format!("{kind};{};{}", self.id_scope, self.resource_id))
    }

    /// Reads an id that `follow` gave.
    pub(crate) fn read(id: &str) -> Result<Self, Error> {
        let unknown = || Error::new(ErrorCode::ManagedOperationNotFound);
        if id.len() > limits::MAX_MANAGEMENT_OPERATION_ID {
            return Err(unknown());
        }
        let text = URL_SAFE_NO_PAD.decode(id.trim_end_matches('=')).map_err(|_| unknown())?;
        let text = String::from_utf8(text).map_err(|_| unknown())?;
        let mut parts = text.splitn(3, ';');
        let (kind, scope, resource) = (parts.next(), parts.next(), parts.next());
        let kind = KINDS.iter().find(|(name, _)| Some(*name) == kind).map(|(_, kind)| *kind);
        match (kind, scope, resource.filter(|id| Parts::of(id).is_some())) {
            (Some(kind), Some(scope), Some(resource)) => {
                Ok(Self { kind, id_scope: scope.to_owned(), resource_id: resource.to_owned() })
            }
            _ => Err(unknown()),
        }
    }

    /// Where its end is asked for, on the host that the client called.
    pub(crate) fn follow(&self, host: &str, location: &str, version: ApiVersion) -> Follow {
        let id = self.id();
        let parts = Parts::of(&self.resource_id);
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = match parts {
            Some(Parts { subscription, .. }) if version.results_by_location() => format!(
                "/subscriptions/{}/providers/Microsoft.Devices/locations/{}/provisioningServiceOperationResults/{id}",
                encoded(subscription),
                encoded(&location.replace(' ', "").to_ascii_lowercase())
            ),
            _ => format!("{}/operationResults/{id}", self.resource_id),
        };
        let url = format!("https://{host}{path}?api-version={}", version.as_str());
        Follow { operation: Some(format!("{url}&asyncinfo")), location: url }
    }

    /// How far it has come.
    pub(crate) async fn progress(&self, instances: &Instances) -> Result<Progress, Error> {
        // Who calls may ask about this resource, and the scope of another one is no secret.
        let present = instances.by_scope(&self.id_scope).filter(|instance| self.is_on(instance));
        Ok(match (self.kind, present.map(|instance| instance.resource.state)) {
            (Kind::Create, Some(InstanceState::Activating)) | (Kind::Delete, Some(_)) => Progress::Running,
            (Kind::Create, Some(InstanceState::ActivationFailed)) => Progress::Failed(
                "The provisioning service could not be given a certificate; the server tries again.",
            ),
            (Kind::Create | Kind::Update, None) => {
                Progress::Failed("The provisioning service has been deleted.")
            }
            (Kind::Create | Kind::Update, Some(_)) => Progress::Succeeded,
            (Kind::Delete, None) => self.deletion(instances).await?,
        })
    }

    async fn deletion(&self, instances: &Instances) -> Result<Progress, Error> {
        let Some(parts) = Parts::of(&self.resource_id) else { return Ok(Progress::Succeeded) };
        let leaving = instances.leaving(parts.name).await?;
        let same = leaving
            .is_some_and(|instance| instance.id_scope.as_str() == self.id_scope && self.is_on(&instance));
        Ok(if same { Progress::Running } else { Progress::Succeeded })
    }

    fn is_on(&self, instance: &Instance) -> bool {
        instance.resource_id.eq_ignore_ascii_case(&self.resource_id)
    }
}

impl Progress {
    /// `AsyncOperationResult`.
    pub(crate) fn show(&self) -> Value {
        match self {
            Self::Running => json!({ "status": "Running" }),
            Self::Succeeded => json!({ "status": "Succeeded" }),
            Self::Failed(message) => {
                json!({ "status": "Failed", "error": { "code": "OperationFailed", "message": message } })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Operation};
    use crate::api_version::ApiVersion;

    fn operation() -> Operation {
        let resource_id =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps".into();
        Operation { kind: Kind::Create, id_scope: "0ne00000012".into(), resource_id }
    }

    #[test]
    fn operation_id_reads_back_and_anything_else_is_unknown() {
        assert_eq!(Operation::read(&operation().id()).unwrap(), operation());
        for id in ["", "x", "Y3JlYXRlOzs", "%%%", &"a".repeat(600)] {
            assert!(Operation::read(id).is_err(), "{id}");
        }
    }

    #[test]
    fn operation_is_followed_where_the_version_looks() {
        let follow = |version| operation().follow("h:8443", "West US", ApiVersion::parse(version).unwrap());
        let old = follow("2022-02-05").operation.unwrap();
        assert!(
            old.starts_with("https://h:8443/subscriptions/s/resourceGroups/g/")
                && old.contains("/operationResults/")
        );
        assert!(old.ends_with("?api-version=2022-02-05&asyncinfo"), "{old}");
        let new = follow("2026-11-01").location;
        assert!(new.contains("/locations/westus/provisioningServiceOperationResults/"), "{new}");
    }
}
