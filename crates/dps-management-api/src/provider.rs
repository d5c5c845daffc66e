//! What belongs to the resource provider and to no resource: the list of operations, SKUs, and whether a name is free.

use dps_core::Lifecycle;
use dps_model::Error;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::resource_id::check_name;
use crate::route::ROUTES;
use dps_model::member::Member;

/// What the names of its operations begin with.
const PROVIDER: &str = "Microsoft.Devices/";

/// Every operation once, with words for a role editor.
pub(crate) fn operations() -> Answer {
    let mut names: Vec<&str> =
        ROUTES.iter().map(|row| row.operation).filter(|name| name.starts_with(PROVIDER)).collect();
    names.sort_unstable();
    names.dedup();
    let shown = |name: &str| {
        let (resource, verb) =
            name.strip_suffix("/action").unwrap_or(name).rsplit_once('/').unwrap_or((name, ""));
        json!({ "name": name, "display": {
            "provider": "Microsoft Devices",
            "resource": resource.strip_prefix(PROVIDER).unwrap_or(resource),
            "operation": verb,
        }})
    };
    Answer::shown(json!({ "value": names.into_iter().map(shown).collect::<Vec<_>>() }))
}

/// The one SKU.
pub(crate) fn skus() -> Answer {
    Answer::shown(json!({ "value": [{ "name": "S1" }] }))
}

/// Is a name free? `reason` is there when it is too, as Azure has it.
pub(crate) async fn check(life: &Lifecycle, body: &Value) -> Result<Answer, Error> {
    let body = Member::body(body)?;
    let name = body.get("name").required()?;
    let (reason, message) = match check_name(name) {
        Err(why) => ("Invalid", Some(why)),
        Ok(()) if !life.is_free(name).await? => {
            ("AlreadyExists", Some(format!("The name '{name}' is not available; choose another one.")))
        }
        Ok(()) => ("Invalid", None),
    };
    Ok(Answer::shown(json!({ "nameAvailable": message.is_none(), "reason": reason, "message": message })))
}
