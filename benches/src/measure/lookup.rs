//! Latency of one request with a million enrollments against a thousand, and with ten thousand symmetric-key groups
//! against ten. Both servers run side by side and are asked in turns, by one client on one kept-alive connection.

use anyhow::{Context as _, Result};

use super::Bench;
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::report::{self, Goal, Row, Series};

/// Enrollments of the small and of the large store.
const ENROLLMENTS: [u32; 2] = [1_000, 1_000_000];
/// Groups of the small and of the large store.
const GROUPS: [usize; 2] = [10, 10_000];
/// Requests of each kind in a round.
const REQUESTS: u32 = 500;
const FAMILY: &str = "lookup";

/// A server, and how many devices or groups it has.
struct Store {
    server: Muster,
    size: usize,
}

/// Something that is timed on both stores.
struct Asked {
    title: &'static str,
    latency: &'static str,
    goal: Option<Goal>,
    small: Series,
    large: Series,
}

impl Asked {
    fn new(title: &'static str, latency: &'static str, goal: Option<Goal>) -> Self {
        Self { title, latency, goal, small: Series::default(), large: Series::default() }
    }

    fn row(self) -> Row {
        Row::compared(format!("{}: median µs", self.title), self.large, self.small, self.goal)
    }
}

/// Prints both tables.
pub async fn run(bench: &Bench) -> Result<()> {
    enrollments(bench).await?;
    groups(bench).await
}

async fn enrollments(bench: &Bench) -> Result<()> {
    let sizes =
        ENROLLMENTS.map(|count| bench.count(count).max(usize::try_from(REQUESTS).unwrap_or(usize::MAX)));
    let stores = [
        store(bench, "small", sizes[0], Enroll::Individuals { family: FAMILY, count: sizes[0] }).await?,
        store(bench, "large", sizes[1], Enroll::Individuals { family: FAMILY, count: sizes[1] }).await?,
    ];
    let requests = bench.count(REQUESTS).min(sizes[0]);
    let goal = Some(Goal::AtMost(1.2));
    let mut first = [Asked::new("first registration", "register", None)];
    let mut again = [Asked::new("registration again", "register", goal), Asked::new("poll", "poll", goal)];
    let mut wrong = [Asked::new("wrong key, refused (enrollment read, nothing written)", "refused", goal)];
    for round in 0..bench.rounds {
        // Only the first round registers first; the small store has no more devices than that.
        let credential = || Credential::Key;
        let register = Work::HttpRegisterAndPoll;
        if round == 0 {
            both(bench, &stores, requests, register, &credential, &mut first).await?;
        }
        both(bench, &stores, requests, register, &credential, &mut again).await?;
        both(bench, &stores, requests, Work::HttpRefused, &|| Credential::WrongKey, &mut wrong).await?;
    }
    let rows: Vec<Row> = first.into_iter().chain(again).chain(wrong).map(Asked::row).collect();
    let (small, large) = (format!("{} enrollments", sizes[0]), format!("{} enrollments", sizes[1]));
    report::print("lookup: individual enrollments", &large, &small, &rows);
    stop(stores).await
}

async fn groups(bench: &Bench) -> Result<()> {
    let stores = [
        store(bench, "few", GROUPS[0], Enroll::KeyGroups(GROUPS[0])).await?,
        store(bench, "many", GROUPS[1], Enroll::KeyGroups(GROUPS[1])).await?,
    ];
    let requests = bench.count(REQUESTS);
    let goal = Some(Goal::AtMost(2.0));
    let mut first = [Asked::new("first attempt", "register", None)];
    let mut again = [
        Asked::new("known device, registration again", "register", goal),
        Asked::new("known device, poll", "poll", goal),
    ];
    let mut wrong = [Asked::new("known device, wrong key", "refused", None)];
    for round in 0..bench.rounds {
        let credential = |store: &Store| Credential::KeyOfGroup(store.size);
        for (index, store) in stores.iter().enumerate() {
            let mut plan = plan(store, requests, Work::HttpRegisterAndPoll, credential(store))?;
            plan.devices.first = round * requests;
            play(bench, &plan, index, &mut first).await?;
            play(bench, &plan, index, &mut again).await?;
            plan.work = Work::HttpRefused;
            plan.devices.credential = Credential::WrongKey;
            plan.devices.count = requests.min(100);
            play(bench, &plan, index, &mut wrong).await?;
        }
    }
    let rows: Vec<Row> = first.into_iter().chain(again).chain(wrong).map(Asked::row).collect();
    report::print(
        "lookup: symmetric-key groups",
        &format!("{} groups", GROUPS[1]),
        &format!("{} groups", GROUPS[0]),
        &rows,
    );
    stop(stores).await
}

async fn both(
    bench: &Bench,
    stores: &[Store; 2],
    requests: usize,
    work: Work,
    credential: &dyn Fn() -> Credential,
    asked: &mut [Asked],
) -> Result<()> {
    for (index, store) in stores.iter().enumerate() {
        let mut plan = plan(store, requests, work, credential())?;
        plan.devices.stride = store.size / requests;
        play(bench, &plan, index, asked).await?;
    }
    Ok(())
}

async fn play(bench: &Bench, plan: &Plan, index: usize, asked: &mut [Asked]) -> Result<()> {
    let outcome = bench.load(plan).await?;
    for one in asked {
        let latency = outcome.latencies.get(one.latency).context("nothing was timed")?;
        if index == 0 { &mut one.small } else { &mut one.large }.push(latency.median);
    }
    Ok(())
}

fn plan(store: &Store, requests: usize, work: Work, credential: Credential) -> Result<Plan> {
    Ok(Plan {
        address: store.server.https()?,
        certificate: store.server.data_dir.join("server.pem"),
        id_scope: store.server.id_scope()?.to_string(),
        devices: Devices { family: FAMILY.to_owned(), first: 0, count: requests, stride: 1, credential },
        work,
        clients: 1,
    })
}

async fn store(bench: &Bench, name: &str, size: usize, enroll: Enroll) -> Result<Store> {
    let data_dir = bench.folder(&format!("lookup-{name}"))?.join("muster");
    let (_, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    eprintln!("lookup: filling a store with {size}");
    fill(&data_dir, &instance, &[enroll]).await?;
    Ok(Store { server: Muster::start(&bench.muster, &data_dir).await?, size })
}

async fn stop(stores: [Store; 2]) -> Result<()> {
    for store in stores {
        store.server.stop().await?;
    }
    Ok(())
}
