use super::{Refusal, check};
use crate::settings::fixtures::{STORAGE, STREAM, WORKSPACE, silent, to_storage};
use crate::settings::setting::{DestinationKind, LogChoice, MetricChoice, Retention, Setting};

fn refused(setting: &Setting) -> String {
    check(setting, &[], &silent()).map_or_else(|refusal| refusal.to_string(), |()| "taken".to_owned())
}

fn good() -> Setting {
    to_storage("one", "DeviceOperations")
}

/// A good setting after a change.
fn but(change: impl FnOnce(&mut Setting)) -> Setting {
    let mut setting = good();
    change(&mut setting);
    setting
}

#[test]
fn every_rule_of_a_single_setting_names_the_member() {
    let choice = |category: Option<&str>, group: Option<&str>| LogChoice {
        category: category.map(str::to_owned),
        category_group: group.map(str::to_owned),
        enabled: true,
        ..LogChoice::default()
    };
    let metric = |category: Option<&str>, grain: Option<&str>| MetricChoice {
        category: category.map(str::to_owned),
        time_grain: grain.map(str::to_owned),
        ..MetricChoice::default()
    };
    for (setting, expected) in [
        (good(), "taken"),
        (but(|it| it.name = String::new()), "name has 0 characters; 1 to 260 fit."),
        (but(|it| it.name = "a/b".into()), "name has a character"),
        (but(|it| it.storage_account_id = None), "properties must name at least one data sink: workspaceId,"),
        (but(|it| it.workspace_id = Some("w".into())), "properties.workspaceId names no destination"),
        (but(|it| it.storage_account_id = Some(STREAM.to_uppercase())), "taken"),
        (but(|it| it.storage_account_id = Some("x".repeat(2_049))), "properties.storageAccountId is longer"),
        (but(|it| it.event_hub_name = Some("a b".into())), "properties.eventHubName must be 1 to 256"),
        (but(|it| it.event_hub_name = Some("a".into())), "properties.eventHubName needs eventHubAuth"),
        (
            but(|it| {
                it.event_hub_authorization_rule_id = Some(STREAM.into());
                it.event_hub_name = Some("a".into());
            }),
            "taken",
        ),
        (
            but(|it| {
                it.event_hub_authorization_rule_id = Some(STORAGE.into());
                it.event_hub_name = Some("a".into());
            }),
            "properties.eventHubName names an event hub, and that destination has none.",
        ),
        (but(|it| it.log_analytics_destination_type = Some("dedicated".into())), "taken"),
        (
            but(|it| it.log_analytics_destination_type = Some("Other".into())),
            "properties.logAnalyticsDestinationType must be Dedicated or AzureDiagnostics.",
        ),
        (
            but(|it| it.logs = vec![choice(Some("Audit"), None)]),
            "properties.logs[0].category is no category of logs; there are DeviceOperations, ServiceOperations.",
        ),
        (but(|it| it.logs = vec![choice(None, Some("all"))]), "properties.logs[0].categoryGroup is no group"),
        (but(|it| it.logs = vec![choice(None, None)]), "properties.logs[0] must have either"),
        (but(|it| it.logs.push(choice(Some("x"), Some("y")))), "properties.logs[1] must have either"),
        (
            but(|it| it.logs.push(choice(Some("DEVICEOPERATIONS"), None))),
            "properties.logs[1] names DeviceOperations a second time.",
        ),
        (but(|it| it.logs.push(choice(None, Some("audit")))), "properties.logs must have either categories"),
        (but(|it| it.logs = vec![choice(None, None); 17]), "properties.logs has 17 items; at most 16"),
        (
            but(|it| it.logs[0].retention_policy = Some(Retention { enabled: true, days: 366 })),
            "properties.logs[0].retentionPolicy.days must be 0 to 365.",
        ),
        (but(|it| it.metrics = vec![metric(Some("allmetrics"), None)]), "taken"),
        (but(|it| it.metrics = vec![metric(None, Some("PT1M"))]), "taken"),
        (but(|it| it.metrics = vec![metric(None, None)]), "properties.metrics[0].category is required."),
        (but(|it| it.metrics = vec![metric(Some("Some"), None)]), "properties.metrics[0].category is no"),
        (
            but(|it| it.metrics = vec![metric(Some("AllMetrics"), Some("PT5M"))]),
            "properties.metrics[0].timeGrain must be PT1M.",
        ),
        (
            but(|it| it.metrics = vec![metric(Some("AllMetrics"), None); 2]),
            "properties.metrics[1] is one too many",
        ),
    ] {
        let said = refused(&setting);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn unknown_destination_is_told_those_that_there_are() {
    let said = refused(&but(|it| it.storage_account_id = Some("/nowhere".into())));
    assert!(said.contains(&STORAGE.to_lowercase()) && said.contains(&STREAM.to_lowercase()), "{said}");
    let said = refused(&but(|it| it.workspace_id = Some("/nowhere".into())));
    assert!(said.contains(WORKSPACE) && said.contains("workspaces/w"), "{said}");
    let nothing = super::Destinations::default();
    for kind in DestinationKind::ALL {
        let said = nothing.unknown(kind).to_string();
        assert!(said.contains(kind.member()) && said.ends_with("has none of its kind."), "{said}");
    }
}

#[test]
fn same_category_to_the_same_destination_is_a_conflict_however_it_is_spelt() {
    let known = silent();
    let all = |setting: &mut Setting| {
        setting.logs[0] =
            LogChoice { category_group: Some("allLogs".into()), enabled: true, ..LogChoice::default() };
    };
    let mut other = to_storage("two", "DeviceOperations");
    other.storage_account_id = Some(STORAGE.to_uppercase());
    let conflict = check(&good(), &[other.clone()], &known).unwrap_err();
    let Refusal::Conflict { setting, category, .. } = &conflict else { panic!("{conflict}") };
    assert_eq!((setting.as_str(), category.as_str()), ("two", "DeviceOperations"));
    all(&mut other);
    assert!(check(&good(), &[other.clone()], &known).is_err());
    other.logs[0].enabled = false;
    assert_eq!(check(&good(), &[other], &known), Ok(()));
    assert_eq!(check(&good(), &[to_storage("two", "ServiceOperations")], &known), Ok(()));

    let workspace = known.workspace.clone().unwrap();
    let by_guid = Setting::default_to(&workspace.id);
    let by_path = Setting { name: "b".into(), ..Setting::default_to(&workspace.resource_id) };
    assert!(matches!(check(&by_path, &[by_guid], &known), Err(Refusal::Conflict { .. })));
}

#[test]
fn metrics_conflict_too_and_event_hubs_of_one_namespace_do_not() {
    let known = silent();
    let metrics = MetricChoice { category: Some("AllMetrics".into()), enabled: true, ..Default::default() };
    let stream = |name: &str, hub: Option<&str>| Setting {
        name: name.into(),
        event_hub_authorization_rule_id: Some(STREAM.into()),
        event_hub_name: hub.map(str::to_owned),
        metrics: vec![metrics.clone()],
        ..Setting::default()
    };
    let conflict = check(&stream("a", None), &[stream("b", None)], &known).unwrap_err();
    assert!(conflict.to_string().contains("for category 'AllMetrics'"), "{conflict}");
    assert_eq!(check(&stream("a", Some("one")), &[stream("b", Some("two"))], &known), Ok(()));
}

#[test]
fn sixth_setting_of_a_resource_is_refused() {
    let known = silent();
    let others: Vec<Setting> =
        (0..5).map(|number| Setting { name: format!("s{number}"), logs: Vec::new(), ..good() }).collect();
    assert_eq!(check(&good(), &others[..4], &known), Ok(()));
    assert_eq!(check(&good(), &others, &known), Err(Refusal::TooMany));
}
