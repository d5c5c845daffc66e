//! The activity log: calls of the control plane (Azure: "Azure activity log event schema"), as rows of `AzureActivity`
//! and as the events that ARM's route gives. Owns the names of both; must not know how a row is found.

use dps_events::{AddressMask, ManagementCallRecord, Outcome};
use dps_kql::{Type, Value};
use dps_model::{Timestamp, TrackingId};
use serde_json::{Value as Json, json};

use super::{ended, row, text, ticks};
use crate::ports::IdParts;
use crate::{Row, Table};

/// A call of the control plane.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityLog {
    time: Timestamp,
    operation: &'static str,
    resource_id: String,
    status: Status,
    http_status: String,
    caller: String,
    address: String,
    tracking_id: TrackingId,
    authorization: Json,
    claims: Json,
    request: Json,
    properties: Json,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Succeeded,
    Refused,
    Failed,
}

impl Status {
    fn of(outcome: &Outcome) -> Self {
        match outcome.result_type() {
            "Success" => Self::Succeeded,
            "ClientError" => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// `ActivityStatus`, and `status` of an event.
    const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Refused | Self::Failed => "Failed",
        }
    }

    /// `ActivityStatusValue`.
    const fn value(self) -> &'static str {
        match self {
            Self::Succeeded => "Success",
            Self::Refused | Self::Failed => "Failure",
        }
    }

    const fn level(self) -> &'static str {
        match self {
            Self::Succeeded => "Information",
            Self::Refused => "Warning",
            Self::Failed => "Error",
        }
    }
}

impl ActivityLog {
    /// The record of a call; none of a read that was answered, as in Azure. One that was refused is there: somebody will
    /// look for the request id of the answer.
    pub(super) fn of(call: &ManagementCallRecord, addresses: AddressMask) -> Option<Self> {
        let status = Status::of(&call.outcome);
        if status == Status::Succeeded && call.operation.to_ascii_lowercase().ends_with("/read") {
            return None;
        }
        let peer = call.peer.ip();
        let address = if peer.is_unspecified() { String::new() } else { addresses.show(peer) };
        let resource_id = call.resource_id.clone().unwrap_or_default();
        let caller = call.caller.clone().unwrap_or_default();
        Some(Self {
            time: ended(call.time, call.micros),
            operation: call.operation,
            status,
            http_status: call.outcome.status().map(|status| status.to_string()).unwrap_or_default(),
            tracking_id: call.tracking_id,
            authorization: json!({ "action": call.operation, "scope": resource_id }),
            claims: json!({ "name": caller, "appidacr": call.auth, "credential": call.credential }),
            request: json!({ "clientIpAddress": address, "clientRequestId": call.tracking_id, "userAgent": call.client }),
            properties: properties(call, &resource_id),
            resource_id,
            caller,
            address,
        })
    }

    /// Its row in the workspace of that id.
    pub fn row(&self, workspace: &str) -> Row {
        let parts = IdParts::of(&self.resource_id);
        row(Table::AzureActivity, |column| match column {
            "TimeGenerated" | "EventSubmissionTimestamp" => Value::DateTime(ticks(self.time)),
            "TenantId" => text(workspace),
            "SourceSystem" => text("Azure"),
            "Type" => text(Table::AzureActivity.name()),
            "Category" | "CategoryValue" => text("Administrative"),
            "OperationName" => text(localized(self.operation)),
            "OperationNameValue" => text(&self.operation.to_uppercase()),
            "ActivityStatus" => text(self.status.name()),
            "ActivityStatusValue" => text(self.status.value()),
            "ActivitySubstatus" | "ActivitySubstatusValue" => text(&self.http_status),
            "Level" => text(self.status.level()),
            "Caller" => text(&self.caller),
            "CallerIpAddress" => text(&self.address),
            "CorrelationId" | "OperationId" | "EventDataId" => text(&self.tracking_id.to_string()),
            "Authorization" => text(&self.authorization.to_string()),
            "Authorization_d" => dynamic(&self.authorization),
            "Claims" => text(&self.claims.to_string()),
            "Claims_d" => dynamic(&self.claims),
            "HTTPRequest" => text(&self.request.to_string()),
            "Properties" => text(&self.properties.to_string()),
            "Properties_d" => dynamic(&self.properties),
            "Resource" => text(parts.name),
            "ResourceGroup" => text(parts.resource_group),
            "ResourceId" => text(&self.resource_id),
            "ResourceProvider" => text(parts.provider),
            "ResourceProviderValue" => text(&parts.provider.to_uppercase()),
            "Hierarchy" | "SubscriptionId" | "_SubscriptionId" => text(parts.subscription),
            "_ResourceId" => text(&self.resource_id.to_lowercase()),
            _ => text(""),
        })
    }
}

fn dynamic(value: &Json) -> Value {
    if value.is_null() { Value::Null(Type::Dynamic) } else { Value::Dynamic(value.clone()) }
}

fn properties(call: &ManagementCallRecord, resource_id: &str) -> Json {
    let mut properties = json!({
        "entity": resource_id,
        "apiVersion": call.api_version,
        "durationMs": call.micros / 1_000,
        "changed": call.changed,
        "previousEtag": call.previous_etag,
        "etag": call.etag,
    });
    let failed = match &call.outcome {
        Outcome::Failed { code, name, message, cause, .. } => {
            json!({ "statusCode": code / 1_000, "code": code, "error": name, "statusMessage": message, "cause": cause })
        }
        Outcome::Abandoned => json!({ "statusMessage": "the client went away before it was answered" }),
        Outcome::Success | Outcome::Challenged => json!({}),
    };
    if let (Some(members), Json::Object(more)) = (properties.as_object_mut(), failed) {
        members.extend(more);
        members.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    }
    properties
}

/// An operation in words.
fn localized(operation: &'static str) -> &'static str {
    const WORDS: [(&str, &str); 12] = [
        ("/certificates/generateVerificationCode/action", "Generate verification code for a certificate"),
        ("/certificates/verify/action", "Verify a certificate"),
        ("/certificates/write", "Create or update a certificate"),
        ("/certificates/delete", "Delete a certificate"),
        ("/certificates/read", "Get certificates"),
        ("/keys/listkeys/action", "Get a shared access policy"),
        ("/listkeys/action", "Get shared access policies"),
        ("/privateEndpointConnections/write", "Update a private endpoint connection"),
        ("/privateEndpointConnections/delete", "Delete a private endpoint connection"),
        ("/provisioningServices/write", "Create or update a provisioning service"),
        ("/provisioningServices/delete", "Delete a provisioning service"),
        ("/provisioningServices/read", "Get provisioning services"),
    ];
    WORDS.iter().find(|(end, _)| operation.ends_with(end)).map_or(operation, |(_, words)| *words)
}

#[cfg(test)]
mod tests;
