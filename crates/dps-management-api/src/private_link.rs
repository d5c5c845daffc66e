//! Private endpoints: this server has none, and says so in the shapes that clients read.

use dps_model::{Error, ErrorCode};
use serde_json::json;

use crate::answer::Answer;
use crate::route::Action;

pub(crate) fn answer(action: Action) -> Result<Answer, Error> {
    let absent = || Error::with(ErrorCode::RouteNotFound, "This server has no private endpoints.");
    match action {
        Action::PrivateLinkResources => Ok(Answer::shown(json!({ "value": [] }))),
        // A bare list, unlike every other one.
        Action::PrivateEndpointConnections => Ok(Answer::shown(json!([]))),
        Action::DeletePrivateEndpointConnection => Ok(Answer::gone()),
        Action::PutPrivateEndpointConnection => Err(Error::argument(
            "This server has no private endpoints; keep strangers out by IP filter rules or publicNetworkAccess.",
        )),
        _ => Err(absent()),
    }
}
