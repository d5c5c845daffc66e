use std::sync::Arc;
use std::time::Duration;

use dps_kql::Type;
use dps_model::Protocol;

use crate::alerts::alerting::{Alerting, AlertingParts, RunningAlerts};
use crate::alerts::evaluation::minute;
use crate::alerts::fixtures::{
    FakeEngine, FakeRules, MemoryState, RecordingWebhooks, Reply, attempt, attempts, clock, group,
    query_rule, rows_over, rule, table, whole,
};
use crate::alerts::rule::{Action, Rule};
use crate::metrics::Rollups;
use crate::ports::{Answer, QueryEngine, QueryError, QueryRequest, Shelf};

const AT: i64 = 29_000_000;

struct World {
    state: Arc<MemoryState>,
    rules: Arc<FakeRules>,
    rollups: Arc<Rollups>,
    webhooks: Arc<RecordingWebhooks>,
    queries: Option<Arc<dyn QueryEngine>>,
    now: crate::alerts::Now,
}

fn telling(rule: Rule) -> Rule {
    Rule { actions: vec![Action { group: group("ops", &[]).id, properties: [].into() }], ..rule }
}

fn world(rules: &[Rule]) -> World {
    let known = Arc::new(FakeRules::default());
    for rule in rules {
        known.put(rule.clone());
    }
    known.put_group(group("ops", &["pager"]));
    let state = Arc::new(MemoryState::default());
    let rollups = Arc::new(Rollups::new(state.clone()));
    let webhooks = Arc::new(RecordingWebhooks::default());
    World { state, rules: known, rollups, webhooks, queries: None, now: clock(AT) }
}

impl World {
    fn alerting(&self) -> Alerting {
        Alerting::new(AlertingParts {
            state: self.state.clone(),
            rules: self.rules.clone(),
            rollups: Arc::clone(&self.rollups),
            queries: self.queries.clone(),
            webhooks: self.webhooks.clone(),
            metrics: Arc::default(),
            now: Arc::clone(&self.now),
        })
    }

    fn start(&self) -> RunningAlerts {
        self.alerting().start()
    }

    fn refuse(&self, count: usize) {
        let now = minute((self.now)());
        (0..count).for_each(|_| self.rollups.observe(&attempt(Protocol::Mqtt, false, now)));
    }

    /// Second and condition of each post.
    fn told(&self) -> Vec<(u64, String)> {
        let posts = self.webhooks.posts();
        let condition = |body: &serde_json::Value| {
            body["data"]["essentials"]["monitorCondition"].as_str().unwrap().to_owned()
        };
        posts.iter().map(|post| (post.second, condition(&post.body))).collect()
    }
}

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
}

fn fired(second: u64) -> (u64, String) {
    (second, "Fired".into())
}

fn resolved(second: u64) -> (u64, String) {
    (second, "Resolved".into())
}

#[tokio::test(start_paused = true)]
async fn metric_rule_fires_once_and_resolves() {
    let world = world(&[telling(Rule { window: 1, ..rule(vec![attempts(2.0, &[])]) })]);
    let alerting = world.alerting();
    let _running = alerting.start();
    minutes(1).await;
    assert!(world.told().is_empty());
    world.refuse(3); // in the second minute
    minutes(1).await;
    world.refuse(3);
    minutes(10).await;
    // Five seconds after the minute; then three checks that do not hold.
    assert_eq!(world.told(), [fired(125), resolved(365)]);
    let (evaluations, counts) = alerting.counts();
    assert_eq!((evaluations.fired, evaluations.resolved, evaluations.failed), (1, 1, 0));
    assert_eq!((counts.delivered, counts.waiting), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn killed_anywhere_it_loses_and_doubles_nothing() {
    let world = world(&[telling(Rule { window: 1, ..rule(vec![attempts(2.0, &[])]) })]);
    world.webhooks.reply("pager", &[Reply::Status(503)]);
    let mut running = Some(world.start());
    world.refuse(3);
    // Every seven seconds it is gone and begins anew.
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(7)).await;
        running.take().unwrap().stop(Duration::ZERO).await;
        running = Some(world.start());
    }
    let conditions: Vec<_> = world.told().into_iter().map(|(_, condition)| condition).collect();
    assert_eq!(conditions, ["Fired", "Fired", "Resolved"], "the first was answered 503");
    assert_eq!(world.state.bodies(Shelf::Alerts).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_of_an_hour_is_caught_up_once_after_the_server_was_down() {
    let hourly =
        telling(Rule { frequency: 60, window: 60, stateful: false, ..rule(vec![attempts(0.0, &[])]) });
    let world = world(&[hourly]);
    let alerting = world.alerting();
    let running = alerting.start();
    minutes(200).await;
    running.stop(Duration::ZERO).await;
    let before = alerting.counts().0.evaluated;
    world.refuse(1);
    // Five hours down: only the last hour that was due is looked at.
    minutes(300).await;
    let alerting = world.alerting();
    let _running = alerting.start();
    minutes(1).await;
    assert_eq!((before, alerting.counts().0.evaluated), (4, 1));
    assert!(world.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_query_delays_no_metric() {
    struct Slow;
    #[async_trait::async_trait]
    impl QueryEngine for Slow {
        fn tables(&self) -> &[dps_kql::Table] {
            &[]
        }
        async fn run(&self, _request: QueryRequest) -> Result<Answer, QueryError> {
            std::future::pending().await
        }
    }
    let mut all = vec![telling(Rule { window: 1, ..rule(vec![attempts(0.0, &[])]) })];
    all.extend((0..50).map(|n| Rule { id: format!("/q{n}"), ..query_rule(rows_over(0.0)) }));
    let world = World { queries: Some(Arc::new(Slow)), ..world(&all) };
    let alerting = world.alerting();
    let _running = alerting.start();
    world.refuse(1);
    minutes(2).await;
    assert_eq!(world.told(), [fired(65)]);
    minutes(20).await;
    assert!(alerting.counts().0.failed >= 8, "queries are given up after a while");
}

#[tokio::test(start_paused = true)]
async fn query_rule_fires_and_one_whose_engine_is_busy_is_done_again() {
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let engine = FakeEngine::new(move |_: &QueryRequest| {
        if busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            return Err(QueryError::Busy);
        }
        Ok(whole(table(&[("Hub", Type::String)], vec![vec![dps_kql::Value::String("h".into())]])))
    });
    let hourly = telling(Rule { frequency: 60, window: 60, ..query_rule(rows_over(0.0)) });
    let world = World { queries: Some(engine), ..world(&[hourly]) };
    let _running = world.start();
    minutes(2).await;
    assert_eq!(world.told(), [fired(5)], "as soon as another minute is over, for the hour that was due");
}

#[tokio::test(start_paused = true)]
async fn rule_without_an_engine_says_so_and_others_go_on() {
    let all =
        [telling(Rule { window: 1, ..rule(vec![attempts(0.0, &[])]) }), telling(query_rule(rows_over(0.0)))];
    let world = world(&all);
    let alerting = world.alerting();
    let _running = alerting.start();
    world.refuse(1);
    minutes(2).await;
    assert_eq!(world.told(), [fired(65)]);
    assert!(alerting.counts().0.failed >= 2);
}

#[tokio::test(start_paused = true)]
async fn rule_that_is_removed_resolves_what_it_left_open() {
    let refused = telling(Rule { window: 1, ..rule(vec![attempts(0.0, &[])]) });
    let world = world(std::slice::from_ref(&refused));
    let _running = world.start();
    world.refuse(1);
    minutes(2).await;
    world.rules.remove(&refused.id);
    minutes(2).await;
    let alerts = world.state.bodies(Shelf::Alerts);
    assert_eq!((alerts.len(), &alerts[0]["condition"]), (1, &"Resolved".into()));
    assert_eq!(world.told(), [fired(65)]);
}
