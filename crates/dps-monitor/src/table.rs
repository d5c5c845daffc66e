//! The tables of the workspace (Azure: `AzureDiagnostics`, `AzureActivity` and `AzureMetrics` in the Azure Monitor Logs
//! reference) and their rows. Owns names, types and order of columns: a column is never renamed, new ones come last.

use dps_kql::{Column, Type, Value};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Resource logs.
    AzureDiagnostics,
    /// Calls of the control plane.
    AzureActivity,
    /// Metrics that a diagnostic setting sends.
    AzureMetrics,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 3] = [Self::AzureDiagnostics, Self::AzureActivity, Self::AzureMetrics];

    /// The name in queries and on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AzureDiagnostics => "AzureDiagnostics",
            Self::AzureActivity => "AzureActivity",
            Self::AzureMetrics => "AzureMetrics",
        }
    }

    /// Names and types of its columns. The first is `TimeGenerated`; every table has `_ResourceId`, in lower case.
    pub const fn columns(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::AzureDiagnostics => AZURE_DIAGNOSTICS,
            Self::AzureActivity => AZURE_ACTIVITY,
            Self::AzureMetrics => AZURE_METRICS,
        }
    }

    /// The same for an analysis.
    pub fn schema(self) -> dps_kql::Table {
        let column = |(name, ty): &(&str, Type)| Column { name: (*name).to_owned(), ty: *ty };
        dps_kql::Table { name: self.name().to_owned(), schema: self.columns().iter().map(column).collect() }
    }
}

/// A row. Text cells are never null.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Whose.
    pub table: Table,
    /// In the order of its columns, of their types.
    pub cells: Vec<Value>,
}

const AZURE_DIAGNOSTICS: &[(&str, Type)] = &[
    ("TimeGenerated", Type::DateTime),
    ("TenantId", Type::String),
    ("SourceSystem", Type::String),
    ("Type", Type::String),
    ("Category", Type::String),
    ("OperationName", Type::String),
    ("OperationVersion", Type::String),
    ("ResultType", Type::String),
    ("ResultSignature", Type::String),
    ("ResultDescription", Type::String),
    ("DurationMs", Type::Long),
    ("Level", Type::String),
    ("CorrelationId", Type::String),
    // Azure's reference writes the first, its samples the second: a query may use either.
    ("CallerIpAddress", Type::String),
    ("CallerIPAddress", Type::String),
    ("ApplicationId", Type::String),
    ("Resource", Type::String),
    ("ResourceGroup", Type::String),
    ("ResourceId", Type::String),
    ("ResourceProvider", Type::String),
    ("ResourceType", Type::String),
    ("SubscriptionId", Type::String),
    ("location_s", Type::String),
    ("properties_s", Type::String),
    ("_ResourceId", Type::String),
    ("_SubscriptionId", Type::String),
    // Of our own: the code of the cause.
    ("cause_s", Type::String),
];

const AZURE_ACTIVITY: &[(&str, Type)] = &[
    ("TimeGenerated", Type::DateTime),
    ("TenantId", Type::String),
    ("SourceSystem", Type::String),
    ("Type", Type::String),
    ("Category", Type::String),
    ("CategoryValue", Type::String),
    ("OperationName", Type::String),
    ("OperationNameValue", Type::String),
    ("ActivityStatus", Type::String),
    ("ActivityStatusValue", Type::String),
    ("ActivitySubstatus", Type::String),
    ("ActivitySubstatusValue", Type::String),
    ("Level", Type::String),
    ("Caller", Type::String),
    ("CallerIpAddress", Type::String),
    ("CorrelationId", Type::String),
    ("OperationId", Type::String),
    ("EventDataId", Type::String),
    ("EventSubmissionTimestamp", Type::DateTime),
    ("Authorization", Type::String),
    ("Authorization_d", Type::Dynamic),
    ("Claims", Type::String),
    ("Claims_d", Type::Dynamic),
    ("HTTPRequest", Type::String),
    ("Hierarchy", Type::String),
    ("Properties", Type::String),
    ("Properties_d", Type::Dynamic),
    ("Resource", Type::String),
    ("ResourceGroup", Type::String),
    ("ResourceId", Type::String),
    ("ResourceProvider", Type::String),
    ("ResourceProviderValue", Type::String),
    ("SubscriptionId", Type::String),
    ("_ResourceId", Type::String),
    ("_SubscriptionId", Type::String),
];

const AZURE_METRICS: &[(&str, Type)] = &[
    ("TimeGenerated", Type::DateTime),
    ("TenantId", Type::String),
    ("SourceSystem", Type::String),
    ("Type", Type::String),
    ("MetricName", Type::String),
    ("Total", Type::Real),
    ("Count", Type::Real),
    ("Average", Type::Real),
    ("Minimum", Type::Real),
    ("Maximum", Type::Real),
    ("TimeGrain", Type::String),
    ("UnitName", Type::String),
    ("Resource", Type::String),
    ("ResourceGroup", Type::String),
    ("ResourceId", Type::String),
    ("ResourceProvider", Type::String),
    ("SubscriptionId", Type::String),
    ("_ResourceId", Type::String),
    ("_SubscriptionId", Type::String),
];
