//! Which rows are new: each is shown once, although every look begins before the last one ended, since rows come late and
//! out of order. Owns the window and its memory; must not know queries or terminals.
//!
//! Rows have no ids, and two may be equal to the last letter. So rows are counted: of those that are equal and bear one
//! instant, as many are new as are more than were shown.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;

use serde_json::Value;

use crate::fleet::Failure;
use crate::watch::limits::{MAX_TAIL_PAGE, MAX_TAIL_SHOWN, TAIL_PAGE};

/// Rows with their instants in ticks.
#[derive(Debug)]
pub struct Page {
    pub columns: Vec<String>,
    pub rows: Vec<(i64, Vec<Value>)>,
    /// There are no rows behind these.
    pub is_last: bool,
}

/// Where rows come from.
pub trait Source {
    /// The first rows from an instant on, in order of time, at most that many.
    fn rows(&self, from: i64, most: usize) -> impl Future<Output = Result<Page, Failure>> + Send;
}

/// An instant, and what a row says.
type Mark = (i64, u64);

/// What has been shown.
pub struct Follower {
    /// Nothing before it is looked at.
    floor: i64,
    /// How far each look goes back behind the newest row.
    late: i64,
    newest: i64,
    /// How many times each row of the window was shown.
    shown: BTreeMap<Mark, u32>,
    most_shown: usize,
    first_page: usize,
    /// By chance, so that nobody can make two rows look like one.
    hasher: RandomState,
}

impl Follower {
    pub fn new(start: i64, late: i64) -> Self {
        Self {
            floor: start,
            late,
            newest: start,
            shown: BTreeMap::new(),
            most_shown: MAX_TAIL_SHOWN,
            first_page: TAIL_PAGE,
            hasher: RandomState::new(),
        }
    }

    /// Looks once, and shows what is new. `now` bounds how far a row from the future moves the window. What it gives is
    /// to be told: that it can no longer remember as far back as it should.
    pub async fn poll<S: Source>(
        &mut self,
        source: &S,
        now: i64,
        show: &mut (impl FnMut(&Page) -> Result<(), Failure> + Send),
    ) -> Result<Option<String>, Failure> {
        let mut from = self.low(now);
        let mut most = self.first_page;
        loop {
            let page = source.rows(from, most).await?;
            let (is_last, last) = (page.is_last, page.rows.last().map(|(time, _)| *time));
            let fresh = self.fresh(page);
            if !fresh.rows.is_empty() {
                show(&fresh)?;
            }
            match last {
                _ if is_last => break,
                // All of them bear one instant: only more of them lead further.
                None => {
                    return Err(Failure::Incomplete(
                        "the service cut its answer before the first row".to_owned(),
                    ));
                }
                Some(last) if last <= from && most >= MAX_TAIL_PAGE => {
                    let instant = dps_kql::literal::format_datetime(from);
                    return Err(Failure::Incomplete(format!(
                        "more than {most} rows bear the instant {instant}"
                    )));
                }
                Some(last) if last <= from => most = (most * 2).min(MAX_TAIL_PAGE),
                // Those that bear this instant come again, and are counted anew.
                Some(last) => from = last,
            }
        }
        Ok(self.forget(now))
    }

    /// Where a look begins.
    fn low(&self, now: i64) -> i64 {
        self.newest.min(now).saturating_sub(self.late).max(self.floor)
    }

    /// Leaves the rows that are new, and remembers them.
    fn fresh(&mut self, page: Page) -> Page {
        let mut counts: HashMap<Mark, u32> = HashMap::new();
        let mut fresh = Vec::new();
        for (time, row) in page.rows {
            self.newest = self.newest.max(time);
            let mark = (time, self.hasher.hash_one(Value::Array(row.clone()).to_string()));
            let count = counts.entry(mark).or_default();
            *count += 1;
            let shown = self.shown.entry(mark).or_default();
            if *count > *shown {
                *shown = *count;
                fresh.push((time, row));
            }
        }
        Page { columns: page.columns, rows: fresh, is_last: page.is_last }
    }

    /// Forgets rows before the window. Where even those within are too many, the window becomes shorter.
    fn forget(&mut self, now: i64) -> Option<String> {
        self.shown = self.shown.split_off(&(self.low(now), 0));
        let surplus = self.shown.len().checked_sub(self.most_shown).filter(|surplus| *surplus > 0)?;
        let (last, _) = *self.shown.keys().nth(surplus - 1)?;
        self.floor = last.saturating_add(1);
        self.shown = self.shown.split_off(&(self.floor, 0));
        Some(format!(
            "more than {} rows within the time that rows may come late: those that still come from before {} are not \
             shown",
            self.most_shown,
            dps_kql::literal::format_datetime(self.floor)
        ))
    }
}

#[cfg(test)]
mod tests;
