use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A device, its clock and its dice.
struct Bed {
    recovery: Recovery,
    jitter: Jitter,
    now: Duration,
}

impl Bed {
    fn new(assignment: bool) -> Self {
        Self::of(assignment, true, None, None)
    }

    fn of(assignment: bool, can_look_up: bool, fleet: Option<Fleet>, allowed: Option<u32>) -> Self {
        let mut jitter = Jitter::seeded(11);
        let mut recovery = Recovery::new(assignment, can_look_up, fleet, allowed);
        recovery.begin(&mut jitter);
        Self { recovery, jitter, now: Duration::ZERO }
    }

    /// The plan after an outcome; time goes on to its beginning.
    fn after(&mut self, outcome: Outcome) -> Option<(Step, Duration)> {
        let plan = self.recovery.next(outcome, self.now, &mut self.jitter)?;
        self.now += plan.delay;
        Some((plan.step, plan.delay))
    }

    fn failed(&mut self, fault: Fault) -> (Step, Duration) {
        self.after(Outcome::Failed(fault)).expect("it goes on")
    }

    fn connect(&mut self) {
        assert_eq!(self.after(Outcome::Connected), None);
    }
}

const THROTTLED: Fault = Fault::Throttled { retry_after: None };
const TROUBLE: Fault = Fault::Trouble { retry_after: None };

fn within(delay: Duration, least: Duration, most: Duration) {
    assert!((least..=most).contains(&delay), "{delay:?} is not within {least:?} and {most:?}");
}

#[test]
fn begin_known_assignment_connects_at_once_and_unknown_registers() {
    let mut jitter = Jitter::seeded(1);
    for (known, step) in [(true, Step::Connect), (false, Step::Register)] {
        let plan = Recovery::new(known, true, None, None).begin(&mut jitter);
        assert_eq!((plan.step, plan.delay), (step, Duration::ZERO));
    }
}

#[test]
fn fleet_longest_delay_is_the_documented_formula() {
    // T = N / cps; max = 1 / load * T.
    for (devices, calls_per_second, load, millis) in [
        (100_000, 200.0, 1.0, 500_000),
        (100_000, 200.0, 0.5, 1_000_000),
        (1_000, 1000.0 / 60.0, 1.0, 60_000),
        (1, 200.0, 1.0, 1_000),
    ] {
        let fleet = Fleet { devices, calls_per_second, load };
        assert_eq!(fleet.longest_delay().as_millis(), millis);
    }
    for nonsense in [0.0, -1.0, f64::NAN] {
        let fleet = Fleet { devices: 10, calls_per_second: 1.0, load: nonsense };
        within(fleet.longest_delay(), SECOND, Duration::from_hours(24));
    }
}

#[test]
fn fleet_first_delays_are_spread_evenly_between_least_and_longest() {
    let fleet = Fleet { devices: 100_000, calls_per_second: 200.0, load: 1.0 };
    let mut tenths = [0; 10];
    for seed in 0..10_000 {
        let mut jitter = Jitter::seeded(seed);
        let plan = Recovery::new(false, true, Some(fleet), None).begin(&mut jitter);
        assert_eq!(plan.step, Step::Register);
        within(plan.delay, SECOND, 500 * SECOND);
        tenths[usize::try_from(plan.delay.saturating_sub(SECOND).as_millis() * 10 / 499_001).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
}

#[test]
fn hub_denied_registers_at_once_and_a_fleet_is_spread() {
    assert_eq!(Bed::new(true).failed(Fault::Denied), (Step::Register, Duration::ZERO));
    let fleet = Fleet { devices: 100_000, calls_per_second: 200.0, load: 1.0 };
    let (step, delay) = Bed::of(true, true, Some(fleet), None).failed(Fault::Denied);
    assert_eq!(step, Step::Register);
    within(delay, SECOND, 500 * SECOND);
}

#[test]
fn hub_and_service_that_disagree_are_asked_ever_more_rarely() {
    let mut bed = Bed::new(true);
    let mut delays = Vec::new();
    for _ in 0..12 {
        let (step, delay) = bed.failed(Fault::Denied);
        assert_eq!(step, Step::Register);
        delays.push(delay);
        assert_eq!(bed.after(Outcome::Assigned), Some((Step::Connect, Duration::ZERO)));
    }
    assert_eq!(delays[0], Duration::ZERO);
    within(delays[1], 2 * SECOND, 4 * SECOND);
    within(delays[11], 15 * MINUTE, 30 * MINUTE);
}

#[test]
fn registration_denied_registers_again_and_again_with_backoff() {
    let mut bed = Bed::new(false);
    for base in [1, 2, 4, 8, 16] {
        let (step, delay) = bed.failed(Fault::Denied);
        assert_eq!(step, Step::Register);
        within(delay, base * SECOND, 2 * base * SECOND);
    }
}

#[test]
fn registration_denied_gives_up_after_as_many_as_allowed() {
    let mut bed = Bed::of(false, true, None, Some(3));
    bed.failed(Fault::Denied);
    bed.failed(THROTTLED);
    bed.failed(Fault::Denied);
    assert_eq!(bed.after(Outcome::Failed(Fault::Denied)), None);
}

#[test]
fn throttled_goes_on_with_the_same_step_never_sooner_than_asked() {
    let asked = Fault::Throttled { retry_after: Some(60) };
    for known in [true, false] {
        let mut bed = Bed::new(known);
        let step = if known { Step::Connect } else { Step::Register };
        for base in [1, 2, 4, 8, 16, 32] {
            let (next, delay) = bed.failed(asked);
            assert_eq!(next, step);
            within(delay, 60 * SECOND, (60 + base) * SECOND);
        }
        // Grown beyond what the server asks for.
        within(bed.failed(asked).1, 64 * SECOND, 128 * SECOND);
    }
}

#[test]
fn throttled_without_retry_after_is_spread_over_the_fleet() {
    let fleet = Fleet { devices: 10_000, calls_per_second: 200.0, load: 1.0 };
    let delays: Vec<Duration> = (0..200)
        .map(|seed| {
            let mut jitter = Jitter::seeded(seed);
            let mut recovery = Recovery::new(false, true, Some(fleet), None);
            recovery.begin(&mut jitter);
            recovery.next(Outcome::Failed(THROTTLED), Duration::ZERO, &mut jitter).unwrap().delay
        })
        .collect();
    assert!(delays.iter().all(|delay| (SECOND..=51 * SECOND).contains(delay)));
    assert!(delays.iter().any(|delay| *delay > 40 * SECOND));
}

#[test]
fn throttled_while_looking_up_looks_up_again() {
    let mut bed = Bed::new(false);
    assert_eq!(bed.failed(TROUBLE).0, Step::LookUp);
    assert_eq!(bed.failed(THROTTLED).0, Step::LookUp);
}

#[test]
fn hub_trouble_tries_the_cached_hub_from_five_seconds_on_and_looks_up_every_third_time() {
    let mut bed = Bed::new(true);
    for (base, step) in [
        (5, Step::Connect),
        (10, Step::Connect),
        (20, Step::LookUp),
        (40, Step::Connect),
        (80, Step::Connect),
        (100, Step::LookUp),
    ] {
        let (next, delay) = bed.failed(TROUBLE);
        assert_eq!(next, step);
        within(delay, base * SECOND, 2 * base * SECOND);
        if next == Step::LookUp {
            assert_eq!(bed.after(Outcome::Assigned), Some((Step::Connect, Duration::ZERO)));
        }
    }
}

#[test]
fn hub_trouble_that_lasts_registers() {
    let mut bed = Bed::of(true, false, None, None);
    for _ in 0..9 {
        assert_eq!(bed.failed(TROUBLE).0, Step::Connect, "a device that cannot look up never does");
    }
    assert_eq!(bed.failed(TROUBLE).0, Step::Register);
}

#[test]
fn service_trouble_uses_the_assignment_that_is_known() {
    let mut bed = Bed::new(true);
    while bed.failed(Fault::Unreachable).0 == Step::Connect {}
    assert_eq!(bed.failed(TROUBLE).0, Step::Connect);
}

#[test]
fn service_trouble_without_assignment_alternates_lookup_and_registration_each_with_its_own_backoff() {
    let mut bed = Bed::new(false);
    for base in [1, 2, 4, 8] {
        for step in [Step::LookUp, Step::Register] {
            let (next, delay) = bed.failed(TROUBLE);
            assert_eq!(next, step);
            within(delay, base * SECOND, 2 * base * SECOND);
        }
    }
    bed.failed(Fault::Trouble { retry_after: Some(300) });
    assert!(bed.now >= 300 * SECOND);
    assert_eq!(bed.after(Outcome::NotAssigned), Some((Step::Register, Duration::ZERO)));
}

#[test]
fn service_trouble_never_uses_an_assignment_that_a_hub_denied() {
    let mut bed = Bed::new(true);
    assert_eq!(bed.failed(Fault::Denied).0, Step::Register);
    assert_eq!(bed.failed(TROUBLE).0, Step::LookUp);
    assert_eq!(bed.failed(Fault::Unreachable).0, Step::Register);
    assert_eq!(bed.failed(Fault::Unreachable).0, Step::Register);
}

#[test]
fn hub_unreachable_is_tried_for_fifteen_to_thirty_minutes_and_then_the_device_registers() {
    let mut patience = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut bed = Bed::new(true);
        bed.jitter = Jitter::seeded(seed);
        let mut tries = 1;
        while bed.failed(Fault::Unreachable).0 == Step::Connect {
            tries += 1;
        }
        within(bed.now, 15 * MINUTE, 30 * MINUTE);
        assert!(tries > 10, "{tries}");
        patience.insert(bed.now.as_secs() / 60);
    }
    assert!(patience.len() > 10, "drawn: {patience:?}");
}

#[test]
fn hub_that_only_times_out_is_given_up_within_thirty_minutes() {
    let mut latest = Duration::ZERO;
    for seed in 0..1_000 {
        let mut bed = Bed::new(true);
        bed.jitter = Jitter::seeded(seed);
        loop {
            bed.now += crate::limits::DEFAULT_HUB_TIMEOUT;
            if bed.failed(Fault::Unreachable).0 == Step::Register {
                break;
            }
        }
        within(bed.now, 15 * MINUTE, 30 * MINUTE);
        latest = latest.max(bed.now);
    }
    assert!(latest > 29 * MINUTE, "drawn up to the end: {latest:?}");
}

#[test]
fn hub_that_answers_in_between_is_not_unreachable() {
    let mut bed = Bed::new(true);
    let begun = bed.now;
    while bed.now.saturating_sub(begun) < 14 * MINUTE {
        assert_eq!(bed.failed(Fault::Unreachable).0, Step::Connect);
    }
    bed.failed(THROTTLED);
    let answered = bed.now;
    while bed.failed(Fault::Unreachable).0 == Step::Connect {}
    within(bed.now.saturating_sub(answered), 15 * MINUTE, 30 * MINUTE);
}

#[test]
fn service_unreachable_goes_back_to_the_hub_for_another_patience() {
    let mut bed = Bed::new(true);
    while bed.failed(Fault::Unreachable).0 == Step::Connect {}
    assert_eq!(bed.failed(Fault::Unreachable).0, Step::Connect);
    let again = bed.now;
    while bed.failed(Fault::Unreachable).0 == Step::Connect {}
    within(bed.now.saturating_sub(again), 15 * MINUTE, 30 * MINUTE);
    let mut new = Bed::new(false);
    assert_eq!(new.failed(Fault::Unreachable).0, Step::Register);
}

#[test]
fn stable_connection_ends_backoff_and_a_short_one_does_not() {
    let mut bed = Bed::new(true);
    for _ in 0..8 {
        bed.failed(Fault::Unreachable);
    }
    bed.connect();
    let (_, delay) = bed.failed(Fault::Unreachable);
    within(delay, 100 * SECOND, 200 * SECOND);
    bed.connect();
    bed.now += MINUTE;
    let (step, delay) = bed.failed(Fault::Unreachable);
    assert_eq!(step, Step::Connect);
    within(delay, SECOND, 2 * SECOND);
}

#[test]
fn lookup_denied_registers() {
    let mut bed = Bed::new(false);
    assert_eq!(bed.failed(TROUBLE).0, Step::LookUp);
    assert_eq!(bed.failed(Fault::Denied), (Step::Register, Duration::ZERO));
}

#[test]
fn reprovision_registers_at_once_whatever_was_planned() {
    let mut bed = Bed::new(true);
    bed.failed(Fault::Unreachable);
    assert_eq!(bed.recovery.reprovision(), Plan { step: Step::Register, delay: Duration::ZERO });
}

#[test]
fn own_fault_ends_it() {
    for known in [true, false] {
        assert_eq!(Bed::new(known).after(Outcome::Failed(Fault::Own)), None);
    }
}

/// Whatever happens, in whatever order: there is always a next step, no delay is longer than the longest allowed, and
/// no server is asked more than twice without a pause.
#[test]
fn any_run_of_faults_goes_on_and_never_spins() {
    let faults = [
        Fault::Denied,
        THROTTLED,
        Fault::Throttled { retry_after: Some(20) },
        TROUBLE,
        Fault::Unreachable,
        Fault::Unusable,
    ];
    let mut dice = Jitter::seeded(99);
    for seed in 0..200 {
        let mut bed = Bed::new(seed % 2 == 0);
        bed.jitter = Jitter::seeded(seed);
        let mut at_once = 0;
        for _ in 0..300 {
            let drawn = dice.between(Duration::ZERO, Duration::from_millis(9)).as_millis();
            let outcome = match (usize::try_from(drawn).unwrap(), bed.recovery.step) {
                (fault @ 0..6, _) => Outcome::Failed(faults[fault]),
                (6, Step::LookUp) => Outcome::NotAssigned,
                (_, Step::LookUp | Step::Register) => Outcome::Assigned,
                (_, Step::Connect) => {
                    bed.connect();
                    Outcome::Failed(Fault::Unreachable)
                }
            };
            let (_, delay) = bed.after(outcome).expect("a next step");
            assert!(delay <= 31 * MINUTE, "{delay:?}");
            at_once = if delay.is_zero() { at_once + 1 } else { 0 };
            assert!(at_once <= 3, "seed {seed} spins");
        }
    }
}
