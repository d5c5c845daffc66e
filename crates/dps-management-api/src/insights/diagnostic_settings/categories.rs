//! What a diagnostic setting of a provisioning service can send. Must not know settings.

use dps_monitor::Category;
use dps_monitor::settings::{METRICS_CATEGORY, groups_of};
use serde_json::{Value, json};

/// All categories.
pub(super) fn list(resource_id: &str) -> Value {
    let names = Category::ALL.map(Category::name).into_iter().chain([METRICS_CATEGORY]);
    let all: Vec<Value> = names.filter_map(|name| one(resource_id, name)).collect();
    json!({ "value": all })
}

/// The category of that name, in any case.
pub(super) fn one(resource_id: &str, name: &str) -> Option<Value> {
    if name.eq_ignore_ascii_case(METRICS_CATEGORY) {
        return Some(shown(resource_id, METRICS_CATEGORY, "Metrics", None));
    }
    let category = Category::of(name)?;
    Some(shown(resource_id, category.name(), "Logs", Some(groups_of(category))))
}

fn shown(resource_id: &str, name: &str, kind: &str, groups: Option<&[&str]>) -> Value {
    json!({
        "id": format!("{resource_id}/providers/microsoft.insights/diagnosticSettingsCategories/{name}"),
        "type": "microsoft.insights/diagnosticSettingsCategories",
        "name": name,
        "location": null,
        "kind": null,
        "tags": null,
        "properties": { "categoryType": kind, "categoryGroups": groups },
        "identity": null,
    })
}
