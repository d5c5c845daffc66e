//! The clock of a development server: the machine's, unless it is told otherwise: set, stopped, or let run faster. Owns
//! wall time; what is measured (durations, throttles, time-outs) goes by the machine's in any case (D-750).

use std::sync::{Mutex, MutexGuard, PoisonError};

use dps_core::ports::{Clock, SystemClock};
use dps_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{MAX_OFFSET_SECONDS, MAX_RATE, MIN_RATE};

/// A clock that can be set.
pub struct DevClock {
    machine: SystemClock,
    hands: Mutex<Hands>,
}

/// At that instant of the machine it was that time, and went on at that rate.
#[derive(Clone, Copy)]
struct Hands {
    machine_millis: i64,
    shown_millis: i64,
    rate: f64,
    frozen: bool,
    moved: bool,
}

/// How the clock is to go on. What is not said stays.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    /// So far from the machine's time.
    pub offset_seconds: Option<f64>,
    /// At that time.
    pub now: Option<Timestamp>,
    /// Does it stand still?
    pub frozen: Option<bool>,
    /// How many seconds go by in one of the machine's.
    pub rate: Option<f64>,
}

/// How the clock stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    now: Timestamp,
    machine: Timestamp,
    offset_seconds: f64,
    rate: f64,
    frozen: bool,
}

impl DevClock {
    /// The machine's clock.
    pub fn new() -> Self {
        let machine = SystemClock::new();
        let hands = Mutex::new(Hands::of_machine(machine.now()));
        Self { machine, hands }
    }

    /// Sets it. The error is one sentence.
    pub fn set(&self, setting: Setting) -> Result<Standing, String> {
        let Setting { offset_seconds, now, frozen, rate } = setting;
        if offset_seconds.is_some() && now.is_some() {
            return Err("say offsetSeconds or now, not both".to_owned());
        }
        if rate.is_some_and(|rate| !(MIN_RATE..=MAX_RATE).contains(&rate)) {
            return Err(format!("rate is from {MIN_RATE} to {MAX_RATE}; frozen stops the clock"));
        }
        let machine = self.machine.now().millis();
        let mut hands = self.hands();
        let shown = match (offset_seconds, now) {
            (Some(seconds), _) => machine.saturating_add(millis(seconds)),
            (None, Some(now)) => now.millis(),
            (None, None) => hands.at(machine),
        };
        let offset = seconds_between(machine, shown);
        // Not a number is no offset either.
        if offset_seconds.is_some_and(|it| !it.is_finite()) || offset.abs() > MAX_OFFSET_SECONDS {
            return Err("the clock may be at most 100 years from the machine's".to_owned());
        }
        *hands = Hands {
            machine_millis: machine,
            shown_millis: shown,
            rate: rate.unwrap_or(hands.rate),
            frozen: frozen.unwrap_or(hands.frozen),
            moved: true,
        };
        drop(hands);
        Ok(self.standing())
    }

    /// The machine's clock again.
    pub fn reset(&self) {
        *self.hands() = Hands::of_machine(self.machine.now());
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let machine = self.machine.now();
        let hands = *self.hands();
        let now = hands.time(machine);
        Standing {
            now,
            machine,
            offset_seconds: seconds_between(machine.millis(), now.millis()),
            rate: hands.rate,
            frozen: hands.frozen,
        }
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        // Nothing in here can be left half done by a panic.
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for DevClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for DevClock {
    fn now(&self) -> Timestamp {
        self.hands().time(self.machine.now())
    }

    fn monotonic_micros(&self) -> u64 {
        self.machine.monotonic_micros()
    }
}

impl Hands {
    fn of_machine(now: Timestamp) -> Self {
        let millis = now.millis();
        Self { machine_millis: millis, shown_millis: millis, rate: 1.0, frozen: false, moved: false }
    }

    /// A clock that nobody touched is the machine's to its last digit.
    fn time(&self, machine: Timestamp) -> Timestamp {
        if self.moved { Timestamp::from_millis(self.at(machine.millis())) } else { machine }
    }

    fn at(&self, machine_millis: i64) -> i64 {
        if self.frozen {
            return self.shown_millis;
        }
        let went = seconds_between(self.machine_millis, machine_millis);
        self.shown_millis.saturating_add(millis(went * self.rate))
    }
}

#[allow(clippy::cast_possible_truncation)] // saturates, and is checked against the furthest offset
fn millis(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

#[allow(clippy::cast_precision_loss)] // milliseconds of a century are exact
fn seconds_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(json: &str) -> Setting {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn hands_go_on_at_their_rate_and_stand_still() {
        let hands =
            Hands { machine_millis: 1_000, shown_millis: 50_000, rate: 60.0, frozen: false, moved: true };
        assert_eq!((hands.at(1_000), hands.at(2_000), hands.at(1_010)), (50_000, 110_000, 50_600));
        assert_eq!(Hands { frozen: true, ..hands }.at(2_000), 50_000);
        assert_eq!(Hands { rate: 0.5, ..hands }.at(2_000), 50_500);
        let machine = Timestamp::from_millis(7);
        assert_eq!(Hands::of_machine(machine).time(machine), machine);
    }

    #[test]
    fn clock_is_set_by_offset_and_by_time_and_is_the_machines_again() {
        let clock = DevClock::new();
        let day = 86_400_000;
        clock.set(setting(r#"{"offsetSeconds":86400}"#)).unwrap();
        let before = clock.machine.now().millis();
        let shown = clock.now().millis();
        let after = clock.machine.now().millis();
        assert!((before + day - 1..=after + day + 1).contains(&shown), "{before} {shown} {after}");
        let standing = clock.set(setting(r#"{"now":"2040-01-02T03:04:05Z","frozen":true}"#)).unwrap();
        assert!(standing.frozen && standing.now.to_string().starts_with("2040-01-02T03:04:05.000"));
        assert_eq!(clock.now(), standing.now, "it stands still");
        // What is not said stays.
        let standing = clock.set(setting(r#"{"rate":86400}"#)).unwrap();
        assert!(standing.frozen && standing.now.to_string().starts_with("2040-01-02T03:04:05.000"));
        clock.reset();
        assert!(clock.now().millis() - after < day / 24, "the machine's again");
    }

    #[test]
    fn clock_refuses_what_no_clock_can_do() {
        let clock = DevClock::new();
        for (bad, said) in [
            (r#"{"offsetSeconds":1,"now":"2040-01-02T03:04:05Z"}"#, "not both"),
            (r#"{"offsetSeconds":1e300}"#, "100 years"),
            (r#"{"now":"0001-01-01T00:00:00Z"}"#, "100 years"),
            (r#"{"rate":0}"#, "rate"),
            (r#"{"rate":-1}"#, "rate"),
            (r#"{"rate":86401}"#, "rate"),
        ] {
            let why = clock.set(setting(bad)).unwrap_err();
            assert!(why.contains(said), "{bad}: {why}");
        }
        assert!(!clock.hands().moved, "nothing was changed");
    }
}
