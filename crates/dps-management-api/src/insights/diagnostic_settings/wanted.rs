//! The body of a PUT on a diagnostic setting, read member by member. Must not know which destinations there are.

use dps_model::Error;
use dps_model::limits::MAX_DIAGNOSTIC_CHOICES;
use dps_model::member::Member;
use dps_monitor::settings::{LogChoice, MetricChoice, Retention, Setting};
use serde_json::Value;

/// The setting of that name that a body describes. Errors name the member.
pub(super) fn read(name: &str, body: &Value) -> Result<Setting, Error> {
    let body = Member::body(body)?;
    let properties = body.get("properties");
    if properties.object()?.is_none() {
        return Err(properties.wrong("is required"));
    }
    let service_bus = properties.get("serviceBusRuleId");
    if service_bus.holds_something() {
        return Err(
            service_bus.wrong("is no longer served; name an event hub by eventHubAuthorizationRuleId")
        );
    }
    let text = |name: &str| text(&properties.get(name));
    let logs = properties.get("logs").list(MAX_DIAGNOSTIC_CHOICES)?.unwrap_or_default();
    let metrics = properties.get("metrics").list(MAX_DIAGNOSTIC_CHOICES)?.unwrap_or_default();
    Ok(Setting {
        name: name.to_owned(),
        workspace_id: text("workspaceId")?,
        storage_account_id: text("storageAccountId")?,
        event_hub_authorization_rule_id: text("eventHubAuthorizationRuleId")?,
        event_hub_name: text("eventHubName")?,
        marketplace_partner_id: text("marketplacePartnerId")?,
        log_analytics_destination_type: text("logAnalyticsDestinationType")?,
        logs: logs.iter().map(log).collect::<Result<_, _>>()?,
        metrics: metrics.iter().map(metric).collect::<Result<_, _>>()?,
    })
}

fn log(choice: &Member<'_>) -> Result<LogChoice, Error> {
    Ok(LogChoice {
        category: text(&choice.get("category"))?,
        category_group: text(&choice.get("categoryGroup"))?,
        enabled: enabled(choice)?,
        retention_policy: retention(&choice.get("retentionPolicy"))?,
    })
}

fn metric(choice: &Member<'_>) -> Result<MetricChoice, Error> {
    Ok(MetricChoice {
        category: text(&choice.get("category"))?,
        time_grain: text(&choice.get("timeGrain"))?,
        enabled: enabled(choice)?,
        retention_policy: retention(&choice.get("retentionPolicy"))?,
    })
}

fn enabled(choice: &Member<'_>) -> Result<bool, Error> {
    let enabled = choice.get("enabled");
    enabled.boolean()?.ok_or_else(|| enabled.wrong("is required"))
}

fn retention(policy: &Member<'_>) -> Result<Option<Retention>, Error> {
    let Some(policy) = policy.object()? else { return Ok(None) };
    let days = policy.get("days");
    let number = days.integer()?.unwrap_or(0);
    let number = u32::try_from(number).map_err(|_| days.wrong("must not be negative, nor so great"))?;
    Ok(Some(Retention { enabled: policy.get("enabled").boolean()?.unwrap_or(false), days: number }))
}

/// An empty text is none, as forms send it.
fn text(member: &Member<'_>) -> Result<Option<String>, Error> {
    let text = member.text()?.map(str::trim);
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read;

    fn refusal(properties: &Value) -> String {
        read("a", &json!({ "properties": properties })).unwrap_err().message.into_owned()
    }

    #[test]
    fn body_is_read_and_what_is_empty_is_absent() {
        let read = read(
            "a",
            &json!({"name": "other", "properties": {
                "workspaceId": " /w ", "storageAccountId": "", "serviceBusRuleId": null,
                "logs": [{"categoryGroup": "allLogs", "enabled": true, "retentionPolicy": {"days": 7}}],
                "metrics": [{"timeGrain": "PT1M", "enabled": false}],
            }}),
        );
        let setting = read.unwrap();
        assert_eq!((setting.name.as_str(), setting.workspace_id.as_deref()), ("a", Some("/w")));
        assert_eq!(setting.storage_account_id, None);
        assert_eq!(setting.logs[0].retention_policy.unwrap().days, 7);
        assert_eq!(setting.metrics[0].time_grain.as_deref(), Some("PT1M"));
    }

    #[test]
    fn wrong_member_is_named() {
        for (properties, expected) in [
            (json!(7), "properties must be an object."),
            (Value::Null, "properties is required."),
            (json!({"serviceBusRuleId": "/r"}), "properties.serviceBusRuleId is no longer served"),
            (json!({"logs": {}}), "properties.logs must be a list."),
            (json!({"logs": vec![json!({}); 17]}), "properties.logs has 17 items; at most 16 are allowed."),
            (json!({"logs": [{"category": "x"}]}), "properties.logs[0].enabled is required."),
            (
                json!({"metrics": [{"enabled": "yes"}]}),
                "properties.metrics[0].enabled must be true or false.",
            ),
            (
                json!({"logs": [{"enabled": true, "retentionPolicy": {"days": -1}}]}),
                "properties.logs[0].retentionPolicy.days must not be negative",
            ),
        ] {
            let said = refusal(&properties);
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
