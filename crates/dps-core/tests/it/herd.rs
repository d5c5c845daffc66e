//! 100,000 devices boot at once against Azure's 1,000 registrations a minute: what our `Retry-After` makes of them, and
//! what a constant does. Fake time, fixed seeds, whole numbers: the same figures on every machine, and the table of
//! docs/reference/throttling.md is these.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

use dps_core::throttle::bucket::Bucket;
use dps_core::throttle::places::Places;
use dps_core::throttle::retry::Chance;
use dps_model::limits::{Profile, Rate};

const DEVICES: u64 = 100_000;
const SECOND: u64 = 1_000_000;
/// Devices beyond the full bucket, at 1,000 a minute.
const IDEAL: u64 = (DEVICES - 1_000) * 60 / 1_000;

/// What a run was like.
struct Run {
    /// Register requests in each second.
    requests: Vec<u64>,
    /// Devices that registered.
    done: u64,
    /// The second in which the last of them did.
    last: u64,
    /// Most requests that one device needed.
    most: u64,
}

/// What befalls the herd.
#[derive(Clone, Copy, Default)]
struct Troubles {
    /// Every so many-th device is switched off after its first answer.
    vanishing: Option<u64>,
    /// The server forgets everything at that second.
    restart: Option<u64>,
}

fn rate() -> Rate {
    Profile::Azure.throttles().registrations.unwrap()
}

fn count(requests: &mut Vec<u64>, at: u64, by: u64) {
    let second = usize::try_from(at / SECOND).unwrap();
    if requests.len() <= second {
        requests.resize(second + 1, 0);
    }
    requests[second] += by;
}

/// Devices that do as they are told, each answer and reconnect taking them up to two seconds.
fn ours(troubles: Troubles) -> Run {
    let (mut places, mut chance) = (Places::new(rate()), Chance::seeded(7));
    let mut world = Chance::seeded(8);
    let mut asks = vec![0_u64; usize::try_from(DEVICES).unwrap()];
    let mut coming: BinaryHeap<Reverse<(u64, u64)>> =
        (0..DEVICES).map(|device| Reverse((u64::from(world.between(0, 999_999)), device))).collect();
    let mut run = Run { requests: Vec::new(), done: 0, last: 0, most: 0 };
    let mut restart = troubles.restart.map(|second| second * SECOND);
    while let Some(Reverse((now, device))) = coming.pop() {
        if restart.is_some_and(|at| at <= now) {
            (places, restart) = (Places::new(rate()), None);
        }
        count(&mut run.requests, now, 1);
        let asked = &mut asks[usize::try_from(device).unwrap()];
        *asked += 1;
        run.most = run.most.max(*asked);
        match places.ask(device, now, &mut chance) {
            Ok(()) => (run.done, run.last) = (run.done + 1, now / SECOND),
            Err(_) if troubles.vanishing.is_some_and(|nth| device % nth == 0) => {}
            Err(told) => {
                let told = u64::from(told) * SECOND;
                let late = u64::from(world.between(0, 1_999_999));
                coming.push(Reverse((now + told + late, device)));
            }
        }
    }
    run
}

/// The same devices told the same number each time. Those of one millisecond stay together, and need no names.
fn constant(told: u64) -> Run {
    let mut bucket = Bucket::new(rate());
    let mut world = Chance::seeded(8);
    let mut herds = vec![0_u64; 1_000];
    for _ in 0..DEVICES {
        herds[usize::try_from(world.between(0, 999)).unwrap()] += 1;
    }
    let mut run = Run { requests: Vec::new(), done: 0, last: 0, most: 0 };
    for round in 0.. {
        for (herd, waiting) in (0_u64..).zip(&mut herds).filter(|(_, waiting)| **waiting > 0) {
            let now = (round * told) * SECOND + herd * 1_000;
            count(&mut run.requests, now, *waiting);
            while *waiting > 0 && bucket.take(now, 0) {
                *waiting -= 1;
                (run.done, run.last) = (run.done + 1, now / SECOND);
            }
        }
        if run.done == DEVICES {
            run.most = round + 1;
            return run;
        }
    }
    unreachable!("the rounds do not end before the devices do")
}

impl Run {
    fn total(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// The busiest second after the boot.
    fn peak(&self) -> u64 {
        self.requests.iter().skip(1).copied().max().unwrap_or_default()
    }

    /// Seconds with more than a minute's worth of requests.
    fn floods(&self) -> usize {
        self.requests.iter().skip(1).filter(|requests| **requests > 1_000).count()
    }

    fn row(&self, name: &str) -> String {
        let (total, mean) = (self.total(), self.total() / DEVICES);
        format!(
            "| {name} | {total} | {mean} | {} | {} | {} | {} | {} |",
            self.most,
            self.peak(),
            self.floods(),
            self.done,
            self.last
        )
    }
}

fn table(rows: &[(&str, &Run)]) -> String {
    let mut table = String::from(
        "| `Retry-After` | requests | a device, mean | a device, most | busiest second | seconds above 1,000 | registered | last one, s |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (name, run) in rows {
        writeln!(table, "{}", run.row(name)).unwrap();
    }
    table
}

#[test]
fn herd_drains_at_the_admitted_rate_and_a_constant_brings_it_back_together() {
    let told = ours(Troubles::default());
    let restarted = ours(Troubles { restart: Some(2_000), ..Troubles::default() });
    let thinned = ours(Troubles { vanishing: Some(3), ..Troubles::default() });
    let (three, ten) = (constant(3), constant(10));

    for run in [&told, &restarted, &three, &ten] {
        assert_eq!(run.done, DEVICES);
        // A restart forgets that the bucket is empty, which is worth one minute.
        assert!(run.last + 1 + 60 >= IDEAL, "faster than the throttle allows: {}", run.last);
    }
    // Nobody is lost, and the throttle is used to the full: a minute more than the ideal is chance and stragglers.
    assert!((IDEAL - 1..IDEAL + 60).contains(&told.last), "{}", told.last);
    assert!(restarted.last < IDEAL + 120, "{}", restarted.last);
    // Every third device went away: no more time is spent on the others than they need, but for what was held for it.
    assert!(thinned.done >= DEVICES * 2 / 3 && thinned.last < IDEAL, "{} {}", thinned.done, thinned.last);
    for run in [&told, &restarted, &thinned] {
        assert!(run.floods() == 0 && run.most <= 50, "{} {}", run.peak(), run.most);
    }
    assert!(three.total() > 50 * told.total() && ten.total() > 15 * told.total());
    assert!(three.floods() > 1_000 && ten.floods() > 500);

    let table = table(&[
        ("computed, with jitter", &told),
        ("computed; the server restarts after 2,000 s", &restarted),
        ("computed; every third device goes away", &thinned),
        ("constant 3 s", &three),
        ("constant 10 s", &ten),
    ]);
    println!("{DEVICES} devices, {IDEAL} s at best\n{table}");
    let page = include_str!("../../../../docs/reference/throttling.md");
    assert!(
        page.contains(&table),
        "docs/reference/throttling.md has other figures; these are right:\n{table}"
    );
}
