//! The rules that hold now, in the order in which they were made, and which of them strikes. Owns counting and dice; the
//! same seed and the same occasions give the same faults. Must not know how a fault is caused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dps_events::InjectedFault;
use dps_model::Protocol;
use serde::Serialize;

use super::rule::{Fault, Occasions, Point, Rule};
use crate::dev::limits::MAX_RULES;

/// Something that may go wrong. What is not known is none, and a rule that asks for it does not strike.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// What is done.
    pub point: Point,
    /// For which device.
    pub device: Option<&'a str>,
    /// How it speaks.
    pub protocol: Option<Protocol>,
    /// The id scope that it names.
    pub id_scope: Option<&'a str>,
    /// The hub.
    pub hub: Option<&'a str>,
}

/// What strikes.
#[derive(Clone, Debug)]
pub struct Strike {
    /// Of the rule.
    pub fault: Fault,
    /// For the event.
    pub mark: InjectedFault,
}

impl Strike {
    /// What the operator reads.
    pub fn reason(&self) -> String {
        format!("the fault rule {} of this development server strikes ({})", self.mark.rule, self.mark.kind)
    }
}

/// A rule as it is shown, with what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    #[serde(flatten)]
    rule: Rule,
    /// Occasions that it was for.
    seen: u64,
    /// Faults that it caused.
    injected: u64,
}

struct Entry {
    shown: Shown,
    dice: u64,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    /// For ids that are made up.
    next: u64,
}

/// All rules.
#[derive(Default)]
pub struct FaultBook(Mutex<Entries>);

impl FaultBook {
    /// Adds a rule, or replaces the one of that id with its counts. The error says what to do.
    pub fn put(&self, mut rule: Rule) -> Result<Shown, String> {
        let mut entries = self.entries();
        while rule.id.is_empty() {
            entries.next += 1;
            let id = format!("fault-{}", entries.next);
            if entries.list.iter().all(|entry| entry.shown.rule.id != id) {
                rule.id = id;
            }
        }
        let entry = Entry { dice: rule.seed, shown: Shown { rule: rule.clone(), seen: 0, injected: 0 } };
        let shown = entry.shown.clone();
        let full = entries.list.len() >= MAX_RULES;
        match entries.list.iter_mut().find(|entry| entry.shown.rule.id == rule.id) {
            Some(before) => *before = entry,
            None if full => {
                return Err(format!("there are {MAX_RULES} rules, the most at a time; delete one first"));
            }
            None => entries.list.push(entry),
        }
        Ok(shown)
    }

    /// All rules, oldest first.
    pub fn list(&self) -> Vec<Shown> {
        self.entries().list.iter().map(|entry| entry.shown.clone()).collect()
    }

    /// Removes a rule; was it there?
    pub fn remove(&self, id: &str) -> bool {
        let mut entries = self.entries();
        let before = entries.list.len();
        entries.list.retain(|entry| entry.shown.rule.id != id);
        entries.list.len() < before
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.entries().list.clear();
    }

    /// The first rule that strikes now.
    pub fn strike(&self, occasion: &Occasion<'_>) -> Option<Strike> {
        self.first(occasion, |_| true)
    }

    /// Is that hub down for a service that calls it?
    pub fn strike_down(&self, hub: Option<&str>) -> Option<Strike> {
        let point = Point::HubConnection;
        let occasion = Occasion { point, device: None, protocol: None, id_scope: None, hub };
        self.first(&occasion, |fault| matches!(fault, Fault::HubDown {}))
    }

    fn first(&self, occasion: &Occasion<'_>, wanted: impl Fn(&Fault) -> bool) -> Option<Strike> {
        let mut entries = self.entries();
        for entry in &mut entries.list {
            let Shown { rule, seen, injected } = &mut entry.shown;
            if !wanted(&rule.fault) || !rule.is_for(occasion.point) || !holds(&rule.occasions, occasion) {
                continue;
            }
            *seen += 1;
            let Occasions { probability, after, count, .. } = &rule.occasions;
            let early = after.is_some_and(|after| *seen <= after);
            let spent = count.is_some_and(|count| *injected >= count);
            if early || spent || probability.is_some_and(|odds| roll(&mut entry.dice) >= odds) {
                continue;
            }
            *injected += 1;
            let mark = InjectedFault { rule: rule.id.clone(), kind: rule.fault.kind() };
            return Some(Strike { fault: rule.fault, mark });
        }
        None
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing in here can be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn holds(wanted: &Occasions, occasion: &Occasion<'_>) -> bool {
    let same = |wanted: Option<&String>, is: Option<&str>| {
        wanted.is_none_or(|wanted| is.is_some_and(|is| is.eq_ignore_ascii_case(wanted)))
    };
    let device = wanted.registration_id.as_ref().is_none_or(|wanted| {
        occasion.device.is_some_and(|is| match wanted.strip_suffix('*') {
            Some(start) => is.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)),
            None => is.eq_ignore_ascii_case(wanted),
        })
    });
    device
        && wanted.protocol.is_none_or(|wanted| occasion.protocol == Some(wanted))
        && same(wanted.id_scope.as_ref(), occasion.id_scope)
        && same(wanted.hub.as_ref(), occasion.hub)
}

/// The next throw, from 0 to 1 (`SplitMix64`).
fn roll(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *dice;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let high = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: Occasion<'_> = Occasion {
        point: Point::Register,
        device: Some("Robot-7"),
        protocol: Some(Protocol::Mqtt),
        id_scope: Some("0ne1"),
        hub: None,
    };

    fn book(rules: &[&str]) -> FaultBook {
        let book = FaultBook::default();
        for rule in rules {
            book.put(serde_json::from_str(rule).unwrap()).unwrap();
        }
        book
    }

    #[test]
    fn rule_strikes_where_all_that_it_says_holds() {
        for (occasions, strikes) in [
            ("{}", true),
            (r#"{"registrationId":"robot-7"}"#, true),
            (r#"{"registrationId":"robot-*"}"#, true),
            (r#"{"registrationId":"*"}"#, true),
            (r#"{"registrationId":"robot"}"#, false),
            (r#"{"registrationId":"robot-77*"}"#, false),
            (r#"{"protocol":"Mqtt","idScope":"0NE1"}"#, true),
            (r#"{"protocol":"MqttWs"}"#, false),
            (r#"{"idScope":"0ne2"}"#, false),
            (r#"{"operation":"register"}"#, true),
            (r#"{"operation":"operationStatus"}"#, false),
            (r#"{"hub":"hub.localhost"}"#, false),
        ] {
            let book = book(&[&format!(r#"{{"match":{occasions},"fault":{{"kind":"throttle"}}}}"#)]);
            assert_eq!(book.strike(&REGISTER).is_some(), strikes, "{occasions}");
        }
    }

    #[test]
    fn faults_of_hubs_and_webhooks_leave_requests_alone_and_the_reverse() {
        let hub = Occasion { point: Point::HubWrite, hub: Some("hub.localhost"), ..REGISTER };
        let webhook = Occasion { point: Point::Webhook, ..REGISTER };
        for (fault, struck) in [
            (r#"{"kind":"hubDown"}"#, [false, true, false]),
            (r#"{"kind":"webhookDown"}"#, [false, false, true]),
            (r#"{"kind":"error"}"#, [true, false, false]),
        ] {
            let book = book(&[&format!(r#"{{"fault":{fault}}}"#)]);
            let strikes = [REGISTER, hub, webhook].map(|occasion| book.strike(&occasion).is_some());
            assert_eq!(strikes, struck, "{fault}");
        }
    }

    #[test]
    fn rule_counts_and_the_next_one_has_its_turn() {
        let book = book(&[
            r#"{"id":"few","match":{"after":1,"count":2},"fault":{"kind":"throttle"}}"#,
            r#"{"id":"rest","fault":{"kind":"error"}}"#,
        ]);
        let struck: Vec<_> = (0..4).map(|_| book.strike(&REGISTER).unwrap().mark.rule).collect();
        assert_eq!(struck, ["rest", "few", "few", "rest"]);
        let shown = serde_json::to_value(book.list()).unwrap();
        assert_eq!((&shown[0]["seen"], &shown[0]["injected"]), (&4.into(), &2.into()));
        assert!(book.remove("rest") && !book.remove("rest"));
        book.clear();
        assert!(book.strike(&REGISTER).is_none() && book.list().is_empty());
    }

    #[test]
    fn dice_of_the_same_seed_fall_alike_and_about_as_often_as_asked() {
        let run = |seed: u64| -> Vec<bool> {
            let rule =
                format!(r#"{{"match":{{"probability":0.25}},"fault":{{"kind":"throttle"}},"seed":{seed}}}"#);
            let book = book(&[&rule]);
            (0..1_000).map(|_| book.strike(&REGISTER).is_some()).collect()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let hits = run(1).into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&hits), "{hits}");
    }

    #[test]
    fn book_has_a_bound_and_makes_up_ids_that_are_free() {
        let book = book(&[r#"{"id":"fault-1","fault":{"kind":"hubDown"}}"#]);
        let rule = || serde_json::from_str(r#"{"fault":{"kind":"hubDown"}}"#).unwrap();
        assert_eq!(book.put(rule()).unwrap().rule.id, "fault-2");
        for _ in 2..MAX_RULES {
            book.put(rule()).unwrap();
        }
        assert!(book.put(rule()).unwrap_err().contains("delete one"));
        let again = serde_json::from_str(r#"{"id":"fault-1","fault":{"kind":"webhookDown"}}"#).unwrap();
        assert_eq!(book.put(again).unwrap().rule.fault, Fault::WebhookDown {});
        assert_eq!(book.list().len(), MAX_RULES);
    }
}
