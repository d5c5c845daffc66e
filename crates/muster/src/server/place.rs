//! Where the built-in workspace is, as Azure names places. Must not know what it holds.

use dps_events::AddressMask;
use dps_monitor::settings::Workspace;

/// Where it is, whether this build keeps one or not.
pub struct WorkspacePlace {
    /// Its id: `TenantId` of every row.
    pub id: uuid::Uuid,
    /// The subscription that it lies in.
    pub subscription: uuid::Uuid,
    /// How much of callers' addresses its rows show.
    pub addresses: AddressMask,
}

impl WorkspacePlace {
    /// Its ARM id.
    pub fn resource_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/muster/providers/Microsoft.OperationalInsights/workspaces/muster",
            self.subscription
        )
    }

    /// As diagnostic settings name it.
    pub fn named(&self) -> Workspace {
        Workspace { id: self.id.to_string(), resource_id: self.resource_id() }
    }
}
