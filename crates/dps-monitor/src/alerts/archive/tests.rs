use std::sync::Arc;

use dps_model::limits::MAX_ALERT_HISTORY;
use dps_model::{Etag, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::{AlertFilter, Archive, Order, Saying, SortBy, TimeSpan};
use crate::alerts::alert::{Alert, AlertState, ChangeEvent, MonitorCondition, Signal};
use crate::metrics::fixtures::{Break, MemoryState};
use crate::ports::{Kept, MonitorState as _, Shelf, StateError, StateWrite};

const SERVICE: &str =
    "/subscriptions/S/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";
const RULES: &str = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Insights/metricAlerts";
const NEWEST: Order = Order { by: SortBy::Fired, descending: true };

fn alert(number: u128, rule: &str) -> Alert {
    let fired = Timestamp::from_millis(i64::try_from(number).unwrap() * 1_000);
    Alert {
        id: Uuid::from_u128(number),
        rule: format!("{RULES}/{rule}"),
        rule_name: rule.to_owned(),
        description: String::new(),
        severity: u8::try_from(number % 5).unwrap(),
        signal: if number.is_multiple_of(2) { Signal::Log } else { Signal::Metric },
        target: SERVICE.to_owned(),
        dimensions: Vec::new(),
        condition: if number.is_multiple_of(3) {
            MonitorCondition::Resolved
        } else {
            MonitorCondition::Fired
        },
        state: AlertState::New,
        fired,
        resolved: None,
        modified: fired,
        context: Value::Null,
        history: Vec::new(),
    }
}

async fn with(alerts: impl IntoIterator<Item = Alert>) -> (Arc<MemoryState>, Archive) {
    let state = Arc::new(MemoryState::default());
    for alert in alerts {
        let body = serde_json::to_string(&alert).unwrap();
        let document = Kept { id: alert.id.simple().to_string(), etag: Etag::fresh(), body, sealed: None };
        state.write(vec![StateWrite::Put { shelf: Shelf::Alerts, document, over: None }]).await.unwrap();
    }
    (Arc::clone(&state), Archive::new(state))
}

#[tokio::test]
async fn pages_follow_each_other_in_order_however_many_there_are() {
    let (_, archive) = with((1..=2_500).map(|number| alert(number, "r"))).await;
    let mut seen = Vec::new();
    loop {
        let page = archive.find(&AlertFilter::default(), NEWEST, seen.len(), 600).await.unwrap();
        seen.extend(page.alerts.iter().map(|alert| alert.id.as_u128()));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (1..=2_500).rev().collect::<Vec<_>>());
    let severe = Order { by: SortBy::Severity, descending: false };
    let page = archive.find(&AlertFilter::default(), severe, 499, 2).await.unwrap();
    let first: Vec<_> = page.alerts.iter().map(|alert| (alert.severity, alert.id.as_u128())).collect();
    assert_eq!(first, [(0, 2_500), (1, 1)], "equal ones by their ids");
}

#[tokio::test]
async fn filters_take_every_member_in_any_case() {
    let (_, archive) =
        with((1..=30).map(|number| alert(number, if number < 10 { "low" } else { "High" }))).await;
    let count = |filter: AlertFilter| {
        let archive = archive.clone();
        async move { archive.find(&filter, NEWEST, 0, 100).await.unwrap().alerts.len() }
    };
    let all = AlertFilter::default;
    assert_eq!(count(all()).await, 30);
    assert_eq!(count(AlertFilter { subscription: Some("s".into()), ..all() }).await, 30);
    assert_eq!(count(AlertFilter { subscription: Some("t".into()), ..all() }).await, 0);
    assert_eq!(count(AlertFilter { rules: vec!["LOW".into()], ..all() }).await, 9);
    assert_eq!(count(AlertFilter { rules: vec![format!("{RULES}/high").to_uppercase()], ..all() }).await, 21);
    assert_eq!(count(AlertFilter { signals: vec![Signal::Log], ..all() }).await, 15);
    assert_eq!(count(AlertFilter { conditions: vec![MonitorCondition::Resolved], ..all() }).await, 10);
    assert_eq!(count(AlertFilter { severities: vec![0, 1], ..all() }).await, 12);
    assert_eq!(count(AlertFilter { states: vec![AlertState::Closed], ..all() }).await, 0);
    assert_eq!(count(AlertFilter { targets: vec![SERVICE.to_uppercase()], ..all() }).await, 30);
    assert_eq!(
        count(AlertFilter { targets: vec!["/subscriptions/S/resourceGroups/g/".into()], ..all() }).await,
        30
    );
    assert_eq!(count(AlertFilter { targets: vec![SERVICE[..SERVICE.len() - 1].into()], ..all() }).await, 0);
    let kind = "microsoft.devices/PROVISIONINGSERVICES".to_owned();
    assert_eq!(count(AlertFilter { target_types: vec![kind], ..all() }).await, 30);
    assert_eq!(count(AlertFilter { target_groups: vec!["G".into()], ..all() }).await, 30);
    assert_eq!(count(AlertFilter { target_groups: vec!["other".into()], ..all() }).await, 0);
    let second = |second: i64| Timestamp::from_millis(second * 1_000);
    let span = Some(TimeSpan { from: second(3), to: second(5) });
    assert_eq!(count(AlertFilter { fired: span, ..all() }).await, 3);
}

#[tokio::test]
async fn state_is_set_with_its_history_and_only_when_it_is_another() {
    let (state, archive) = with([alert(1, "r")]).await;
    let id = Uuid::from_u128(1);
    let now = Timestamp::from_millis(9_000);
    let saying = Saying { state: AlertState::Acknowledged, by: "ann", comment: "" };
    let said = archive.say(id, saying, now).await.unwrap().unwrap();
    assert_eq!((said.state, said.modified), (AlertState::Acknowledged, now));
    let [change] = &said.history[..] else { panic!("{said:?}") };
    assert_eq!(
        (change.event, change.old.as_str(), change.new.as_str()),
        (ChangeEvent::StateChange, "New", "Acknowledged")
    );
    assert_eq!(archive.say(id, saying, Timestamp::MAX).await.unwrap().unwrap(), said, "nothing new is said");
    assert_eq!(archive.get(id).await.unwrap().unwrap(), said);
    assert_eq!(archive.say(Uuid::from_u128(2), saying, now).await.unwrap(), None);
    state.break_next(Break::Before);
    let closed = Saying { state: AlertState::Closed, ..saying };
    assert!(matches!(archive.say(id, closed, now).await, Err(StateError::Failed(_))));
    for _ in 0..210 {
        archive.say(id, Saying { comment: "again", ..saying }, now).await.unwrap();
    }
    assert_eq!(archive.get(id).await.unwrap().unwrap().history.len(), MAX_ALERT_HISTORY);
}

#[tokio::test]
async fn alert_that_cannot_be_read_hides_no_other() {
    let (state, archive) = with([alert(1, "r")]).await;
    let document = Kept { id: "a".into(), etag: Etag::fresh(), body: "{}".into(), sealed: None };
    state.write(vec![StateWrite::Put { shelf: Shelf::Alerts, document, over: None }]).await.unwrap();
    let page = archive.find(&AlertFilter::default(), NEWEST, 0, 10).await.unwrap();
    assert_eq!(page.alerts.len(), 1);
}
