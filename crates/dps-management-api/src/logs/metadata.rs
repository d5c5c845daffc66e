//! What can be asked: tables and columns of the workspace, as editors of queries read it.

use serde_json::{Value, json};

use super::Workspace;

pub(super) fn of(tables: &[dps_kql::Table], workspace: &Workspace) -> Value {
    let shown: Vec<Value> = tables.iter().map(table).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    json!({
        "tables": shown,
        "tableGroups": [{"id": "logs", "name": "Logs", "displayName": "Logs", "tables": names}],
        "functions": [],
        "categories": [],
        "solutions": [],
        "resourceTypes": [{
            "id": "microsoft.devices/provisioningservices",
            "type": "Microsoft.Devices/provisioningServices",
            "displayName": "Device Provisioning Services",
            "tables": names,
        }],
        "applications": [],
        "queries": [],
        "workspaces": [{
            "id": workspace.id,
            "name": workspace.resource_id.rsplit('/').next().unwrap_or_default(),
            "resourceId": workspace.resource_id,
            "region": "local",
            "tables": names,
        }],
        "resources": [],
        "permissions": {"workspaces": [{"workspaceId": workspace.id}]},
    })
}

fn table(table: &dps_kql::Table) -> Value {
    let columns = table.schema.iter();
    let columns: Vec<_> =
        columns.map(|column| json!({"name": column.name, "type": column.ty.name()})).collect();
    json!({
        "id": format!("t/{}", table.name),
        "name": table.name,
        "timespanColumn": "TimeGenerated",
        "hasData": true,
        "columns": columns,
    })
}
