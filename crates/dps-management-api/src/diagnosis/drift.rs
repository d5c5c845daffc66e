//! `devices/{registrationId}/drift`: whether the hub still has a device that was assigned to it. Owns the JSON.

use dps_core::drift::{Compared, OnHub};
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, RegistrationId};
use serde_json::json;

use crate::answer::Answer;
use crate::service::ManagementApi;

impl ManagementApi {
    /// Asks the device's hub.
    pub(super) async fn drift(&self, instance: &Instance, registration_id: &str) -> Result<Answer, Error> {
        let drift = self.diagnosis.drift.as_ref().ok_or_else(|| {
            Error::with(ErrorCode::RouteNotFound, "This server compares no registrations with hubs.")
        })?;
        let id = RegistrationId::parse(registration_id)?;
        let compared = drift.compare(instance, &id).await?;
        let Compared { assigned, on_hub } =
            compared.ok_or_else(|| Error::new(ErrorCode::RegistrationNotFound))?;
        let (hub, device_id) = assigned.unzip();
        let (hub, device_id) = (hub.map(|hub| hub.to_string()), device_id.map(|id| id.to_string()));
        let causes = match (&on_hub, &hub, &device_id) {
            (OnHub::Missing, Some(hub), Some(device_id)) => {
                dps_explain::missing_on_hub(id.as_str(), hub, device_id)
            }
            _ => Vec::new(),
        };
        let (on_hub, detail) = match on_hub {
            OnHub::NotAssigned => ("notAssigned", None),
            OnHub::There => ("there", None),
            OnHub::Missing => ("missing", None),
            OnHub::NotLinked => ("notLinked", None),
            OnHub::Unknown(why) => ("unknown", Some(why)),
        };
        Ok(Answer::shown(json!({
            "registrationId": id,
            "assignedHub": hub,
            "deviceId": device_id,
            "onHub": on_hub,
            "detail": detail,
            "causes": causes,
        })))
    }
}
