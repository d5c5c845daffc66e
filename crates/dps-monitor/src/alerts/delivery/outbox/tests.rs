use std::sync::Arc;
use std::time::Duration;

use dps_model::limits::{MAX_NOTIFICATION_AGE, MAX_WEBHOOK_NOTIFICATIONS_IN_FLIGHT};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Outbox;
use crate::alerts::alert::{Alert, MonitorCondition};
use crate::alerts::delivery::Notification;
use crate::alerts::delivery::sample::sample;
use crate::alerts::fixtures::{Break, FakeRules, MemoryState, RecordingWebhooks, Reply, clock, group};
use crate::ports::{MonitorState as _, Notifier as _, Shelf, TryOut};

const AT: i64 = 29_000_000;
const RECEIVERS: [&str; 2] = ["pager", "chat"];

struct World {
    state: Arc<MemoryState>,
    rules: Arc<FakeRules>,
    webhooks: Arc<RecordingWebhooks>,
    now: crate::alerts::Now,
}

struct Running {
    outbox: Arc<Outbox>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn world() -> World {
    let rules = Arc::new(FakeRules::default());
    rules.put_group(group("ops", &RECEIVERS));
    let (state, webhooks) = (Arc::new(MemoryState::default()), Arc::new(RecordingWebhooks::default()));
    World { state, rules, webhooks, now: clock(AT) }
}

impl World {
    fn start(&self) -> Running {
        let (state, rules, webhooks) = (self.state.clone(), self.rules.clone(), self.webhooks.clone());
        let outbox = Arc::new(Outbox::new(state, rules, webhooks, Arc::default(), Arc::clone(&self.now)));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Arc::clone(&outbox).run(stopped));
        Running { outbox, stop, task }
    }

    fn notification(&self, receiver: usize) -> Notification {
        let group = group("ops", &RECEIVERS);
        sample(&group, &group.webhooks[receiver], (self.now)())
    }

    /// Written, and told to the outbox.
    async fn add(&self, running: &Running, notification: &Notification) {
        self.state.write(vec![notification.put()]).await.unwrap();
        running.outbox.add([notification].into_iter());
    }

    fn left(&self) -> usize {
        self.state.bodies(Shelf::Notifications).len()
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn accepted_notification_is_posted_once_and_gone() {
    let world = world();
    let before = world.notification(0);
    world.state.write(vec![before.put()]).await.unwrap();
    let running = world.start();
    world.add(&running, &world.notification(1)).await;
    seconds(3_600).await;
    let posts = world.webhooks.posts();
    let ids: Vec<_> = posts.iter().map(|post| post.body["data"]["essentials"]["alertRule"].clone()).collect();
    assert_eq!(ids, ["test-alert-rule", "test-alert-rule"]);
    assert_eq!((world.left(), running.outbox.counts().delivered), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn failing_webhook_is_tried_six_times_then_left_alone_for_fifteen_minutes() {
    let world = world();
    world.webhooks.always("pager", Reply::Unreachable);
    world.webhooks.reply("pager", &[503, 429, 408, 504].map(Reply::Status));
    let running = world.start();
    world.add(&running, &world.notification(0)).await;
    seconds(100).await;
    assert_eq!(world.webhooks.seconds("pager"), [0, 5, 25, 30, 70, 75]);
    assert_eq!((world.left(), running.outbox.counts().given_up), (0, 1));
    // What comes meanwhile waits, and is not lost; other webhooks are not concerned.
    world.webhooks.always("pager", Reply::Status(204));
    world.add(&running, &world.notification(0)).await;
    world.add(&running, &world.notification(1)).await;
    seconds(3_600).await;
    assert_eq!(world.webhooks.seconds("pager")[6..], [75 + 900]);
    assert_eq!(world.webhooks.seconds("chat"), [100]);
    assert_eq!(world.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn status_that_does_not_promise_better_is_the_end() {
    for status in [301, 400, 401, 404, 500, 502] {
        let world = world();
        world.webhooks.always("pager", Reply::Status(status));
        let running = world.start();
        world.add(&running, &world.notification(0)).await;
        seconds(3_600).await;
        assert_eq!(world.webhooks.seconds("pager"), [0], "{status}");
        assert_eq!((world.left(), running.outbox.counts().refused), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn webhook_that_hangs_holds_up_no_other() {
    let world = world();
    world.webhooks.always("pager", Reply::Never);
    let running = world.start();
    for _ in 0..200 {
        world.add(&running, &world.notification(0)).await;
    }
    for _ in 0..200 {
        world.add(&running, &world.notification(1)).await;
    }
    seconds(1).await;
    assert_eq!(world.webhooks.seconds("pager").len(), MAX_WEBHOOK_NOTIFICATIONS_IN_FLIGHT);
    assert_eq!((world.webhooks.seconds("chat").len(), world.left()), (200, 200));
}

#[tokio::test(start_paused = true)]
async fn retries_go_on_after_a_restart_where_they_were() {
    let world = world();
    world.webhooks.reply("pager", &[Reply::Status(503), Reply::Status(503)]);
    let running = world.start();
    world.add(&running, &world.notification(0)).await;
    seconds(6).await; // tried at 0 and at 5, next at 25
    running.task.abort();
    let _ = running.task.await;
    let again = world.start();
    seconds(60).await;
    assert_eq!(world.webhooks.seconds("pager"), [0, 5, 25]);
    assert_eq!((world.left(), again.outbox.counts().delivered), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_of_a_post_it_is_posted_again_with_the_same_alert_id() {
    let world = world();
    world.webhooks.reply("pager", &[Reply::Never]);
    let running = world.start();
    world.add(&running, &world.notification(0)).await;
    seconds(1).await;
    running.task.abort();
    let _ = running.task.await;
    drop(running.outbox);
    let _again = world.start();
    seconds(1).await;
    let ids: Vec<_> = world
        .webhooks
        .posts()
        .iter()
        .map(|post| post.body["data"]["essentials"]["alertId"].clone())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(world.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_posts_nothing_new_and_waits_for_what_is_posted() {
    let world = world();
    world.webhooks.always("chat", Reply::Never);
    let running = world.start();
    world.add(&running, &world.notification(1)).await;
    seconds(1).await;
    running.stop.send_replace(true);
    world.add(&running, &world.notification(0)).await;
    seconds(60).await;
    assert!(!running.task.is_finished(), "a post has not ended");
    assert!(world.webhooks.seconds("pager").is_empty());
    running.task.abort();
}

#[tokio::test(start_paused = true)]
async fn resolved_comes_after_fired() {
    let world = world();
    world.webhooks.reply("pager", &[Reply::Status(503)]);
    let fired = world.notification(0);
    let mut resolved = fired.clone();
    resolved.alert =
        Alert { condition: MonitorCondition::Resolved, resolved: Some((world.now)()), ..resolved.alert };
    let running = world.start();
    world.add(&running, &fired).await;
    world.add(&running, &resolved).await;
    seconds(60).await;
    let told: Vec<_> = world
        .webhooks
        .posts()
        .iter()
        .map(|post| {
            (post.second, post.body["data"]["essentials"]["monitorCondition"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(told, [(0, "Fired".into()), (5, "Fired".into()), (5, "Resolved".into())]);
    assert_eq!(world.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_not_posted_again_when_it_cannot_be_removed() {
    let world = world();
    let running = world.start();
    let notification = world.notification(0);
    world.state.write(vec![notification.put()]).await.unwrap();
    world.state.break_next(&[Some(Break::Before), Some(Break::Before)]);
    running.outbox.add([&notification].into_iter());
    seconds(4).await;
    assert_eq!((world.left(), running.outbox.counts().waiting), (1, 1));
    seconds(30).await;
    assert_eq!((world.left(), running.outbox.counts().waiting), (0, 0));
    assert_eq!(world.webhooks.seconds("pager"), [0]);
}

#[tokio::test(start_paused = true)]
async fn post_goes_where_the_group_says_by_then_or_nowhere() {
    let world = world();
    world.webhooks.always("pager", Reply::Unreachable);
    let running = world.start();
    world.add(&running, &world.notification(0)).await;
    seconds(1).await;
    let mut mended = group("ops", &RECEIVERS);
    mended.webhooks[0].uri =
        b"https://mended".to_vec().into_iter().map(char::from).collect::<String>().into();
    world.rules.put_group(mended);
    seconds(60).await;
    assert_eq!((world.webhooks.seconds("pager"), world.webhooks.seconds("mended")), (vec![0], vec![5]));
    world.rules.put_group(group("ops", &["chat"]));
    world.add(&running, &world.notification(0)).await;
    seconds(60).await;
    assert_eq!((world.webhooks.posts().len(), world.left()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn documents_that_it_was_not_told_of_or_cannot_read() {
    let world = world();
    let running = world.start();
    seconds(1).await;
    let (notification, damaged) = (world.notification(0), world.notification(1));
    world.state.write(vec![notification.put(), damaged.put()]).await.unwrap();
    world.state.touch(Shelf::Notifications, &damaged.id(), |body| *body = serde_json::json!({"alert": 1}));
    running.outbox.look_again();
    seconds(60).await;
    assert_eq!((world.webhooks.posts().len(), world.left()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn notification_that_is_too_old_is_not_tried_again() {
    let world = world();
    world.webhooks.always("pager", Reply::Status(503));
    let mut old = world.notification(0);
    old.created = old.created.plus_millis(-MAX_NOTIFICATION_AGE * 3_600_000);
    let running = world.start();
    world.add(&running, &old).await;
    seconds(60).await;
    assert_eq!((world.webhooks.seconds("pager"), world.left()), (vec![0], 0));
}

#[tokio::test(start_paused = true)]
async fn tried_out_group_says_which_webhook_fails() {
    let world = world();
    world.webhooks.always("pager", Reply::Status(404));
    let outbox = world.start().outbox;
    let outcomes = outbox.try_out(&group("ops", &RECEIVERS)).await;
    let outcome = |receiver: &str, failure: Option<&str>| TryOut {
        receiver: receiver.into(),
        failure: failure.map(str::to_owned),
    };
    assert_eq!(outcomes, [outcome("pager", Some("it answered 404")), outcome("chat", None)]);
    assert_eq!(world.left(), 0);
}
