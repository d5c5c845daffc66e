//! A resource log: the raw record that storage and event streams get (Azure: "Azure Monitor resource logs schema"), and
//! its row of `AzureDiagnostics`. Owns names, cases and types of both.

use dps_events::{AddressMask, LogRow};
use dps_kql::Value;
use dps_model::{Timestamp, TrackingId};
use serde::{Serialize, Serializer};

use super::{ended, row, text, ticks};
use crate::ports::{IdParts, Resource};
use crate::{Row, Table};

/// A category of resource logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// What devices ask.
    DeviceOperations,
    /// What the service API is asked, and what links to hubs are like.
    ServiceOperations,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 2] = [Self::DeviceOperations, Self::ServiceOperations];

    /// The name in rows and in diagnostic settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceOperations => "DeviceOperations",
            Self::ServiceOperations => "ServiceOperations",
        }
    }

    /// The category of that name, case ignored.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name().eq_ignore_ascii_case(name))
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A record. It serializes to one element of `records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLog {
    /// When the unit of work ended.
    pub time: Timestamp,
    /// In upper case; empty when the provisioning service is there no more.
    pub resource_id: String,
    /// `AttestationAttempt`, `Upsert` …
    pub operation_name: &'static str,
    /// API version as month and year; empty when unknown.
    pub operation_version: &'static str,
    /// Category.
    pub category: Category,
    /// `Information`, `Warning` or `Error`.
    pub level: &'static str,
    /// `Success`, `ClientError` or `Failure`.
    pub result_type: &'static str,
    /// HTTP status of a failure, else empty.
    pub result_signature: String,
    /// What went wrong, else empty.
    pub result_description: String,
    /// A number in a string, as Azure has it.
    #[serde(serialize_with = "as_text")]
    pub duration_ms: u64,
    /// As the mask lets it be seen.
    pub caller_ip_address: String,
    /// `trackingId` of the error body.
    pub correlation_id: TrackingId,
    /// Region.
    pub location: String,
    /// JSON in a string.
    pub properties: String,
    /// Code of the foremost cause of a refusal or a failure, else empty; among `properties` elsewhere.
    #[serde(skip)]
    pub cause: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

impl ResourceLog {
    /// The record of an event's row; none of what belongs to no category.
    pub(super) fn of(row: &LogRow<'_>, resource: Option<Resource>, addresses: AddressMask) -> Option<Self> {
        let category = Category::of(row.category)?;
        let Resource { id, location } =
            resource.unwrap_or_else(|| Resource { id: String::new(), location: String::new() });
        Some(Self {
            time: ended(row.time, row.micros),
            resource_id: id.to_uppercase(),
            operation_name: row.operation_name,
            operation_version: row.operation_version,
            category,
            level: row.level,
            result_type: row.result_type,
            result_signature: row.result_signature.clone(),
            result_description: row.result_description.clone(),
            duration_ms: row.micros / 1_000,
            caller_ip_address: row.caller.map(|caller| addresses.show(caller)).unwrap_or_default(),
            correlation_id: row.correlation_id,
            location,
            properties: row.properties.properties().text(),
            cause: row.cause,
        })
    }

    /// Its row in the workspace of that id.
    pub fn row(&self, workspace: &str) -> Row {
        let parts = IdParts::of(&self.resource_id);
        row(Table::AzureDiagnostics, |column| match column {
            "TimeGenerated" => Value::DateTime(ticks(self.time)),
            "TenantId" => text(workspace),
            "SourceSystem" => text("Azure"),
            "Type" => text(Table::AzureDiagnostics.name()),
            "Category" => text(self.category.name()),
            "OperationName" => text(self.operation_name),
            "OperationVersion" => text(self.operation_version),
            "ResultType" => text(self.result_type),
            "ResultSignature" => text(&self.result_signature),
            "ResultDescription" => text(&self.result_description),
            "DurationMs" => Value::Long(i64::try_from(self.duration_ms).unwrap_or(i64::MAX)),
            "Level" => text(self.level),
            "CorrelationId" => text(&self.correlation_id.to_string()),
            "CallerIpAddress" | "CallerIPAddress" => text(&self.caller_ip_address),
            "Resource" => text(parts.name),
            "ResourceGroup" => text(parts.resource_group),
            "ResourceId" => text(&self.resource_id),
            "ResourceProvider" => text(parts.provider),
            "ResourceType" => text(parts.kind),
            "SubscriptionId" | "_SubscriptionId" => text(&parts.subscription.to_lowercase()),
            "location_s" => text(&self.location),
            "properties_s" => text(&self.properties),
            "cause_s" => text(self.cause),
            "_ResourceId" => text(&self.resource_id.to_lowercase()),
            // ApplicationId: a bearer token's application is in `properties`, with its issuer.
            _ => text(""),
        })
    }
}

#[cfg(test)]
mod tests;
