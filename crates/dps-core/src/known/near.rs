//! Registration ids that are nearly another one, anywhere in it, without reading them all: the ids are in order, so the walk
//! computes the next id that could be near, goes there, and skips everything between.

use dps_model::{Error, limits};

use crate::ports::{Collection, Page, Store};

/// Characters of registration id keys, in the order of the store.
const ALPHABET: &[u8] = b"-.0123456789:_abcdefghijklmnopqrstuvwxyz";
/// Sorts after every character of an id.
const AFTER_ALL: char = '~';

/// Enrolled ids that differ from the key by the fewest letters, and by how many: letters changed, added, taken away, or
/// swapped with a neighbour; of those of one distance the first few.
pub(super) async fn near(store: &dyn Store, rows: &str, key: &str) -> Result<Vec<(String, usize)>, Error> {
    // Of a short id everything short is near.
    let most = limits::MAX_NEAR_DISTANCE.min(key.len() / 4);
    for distance in 1..=most {
        let found = walk(store, rows, &Wanted { key: key.as_bytes(), most: distance }).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

async fn walk(store: &dyn Store, rows: &str, wanted: &Wanted<'_>) -> Result<Vec<(String, usize)>, Error> {
    let mut found = Vec::new();
    let mut next = wanted.first();
    for _ in 0..limits::MAX_NEAR_SEEKS {
        let Some(from) = next.take() else { break };
        let before = just_before(&from);
        let page = Page {
            collection: Collection::Enrollments,
            instance: rows,
            owner: None,
            after: Some(&before),
            limit: limits::NEAR_SEEK_IDS,
        };
        let ids: Vec<String> = store.page(page).await?.into_iter().map(|document| document.id).collect();
        let is_end = ids.len() < limits::NEAR_SEEK_IDS;
        let mut from = from;
        for id in ids {
            if id < from {
                continue;
            }
            if let Some(distance) = wanted.distance(&id).filter(|distance| *distance > 0) {
                found.push((id.clone(), distance));
                if found.len() == limits::MAX_NEAR {
                    return Ok(found);
                }
            }
            let Some(after) = wanted.after(&id) else { return Ok(found) };
            from = after;
        }
        if is_end {
            break;
        }
        next = Some(from);
    }
    Ok(found)
}

/// Greater than every id before that one, and less than it.
fn just_before(id: &str) -> String {
    let mut before = id.to_owned();
    if let Some(last) = before.pop() {
        before.extend(char::from_u32(u32::from(last).saturating_sub(1)));
        before.push(AFTER_ALL);
    }
    before
}

/// The texts that differ from a key by so many letters: an automaton whose states are rows of the table of distances.
struct Wanted<'a> {
    key: &'a [u8],
    most: usize,
}

/// Columns of a row that can be within bounds: those as far from the diagonal as letters may differ.
const COLUMNS: usize = 2 * limits::MAX_NEAR_DISTANCE + 1;
/// Beyond all bounds.
const FAR: usize = 1_000;

/// Distances of what was read to the beginnings of the key that are about as long; the row before is needed for swapped
/// letters.
#[derive(Clone, Copy)]
struct State {
    read: usize,
    row: [usize; COLUMNS],
    before: [usize; COLUMNS],
    last: u8,
}

impl Wanted<'_> {
    fn start(&self) -> State {
        let mut start = State { read: 0, row: [FAR; COLUMNS], before: [FAR; COLUMNS], last: 0 };
        for (place, cost) in start.row.iter_mut().enumerate() {
            if let Some(length) = self.length(0, place) {
                *cost = length;
            }
        }
        start
    }

    /// Length of the key's beginning that a column is about, after so many letters were read.
    fn length(&self, read: usize, place: usize) -> Option<usize> {
        (read + place).checked_sub(limits::MAX_NEAR_DISTANCE).filter(|length| *length <= self.key.len())
    }

    fn step(&self, state: &State, letter: u8) -> State {
        let mut next = State { read: state.read + 1, row: [FAR; COLUMNS], before: state.row, last: letter };
        let mut added = FAR;
        for (place, cost) in next.row.iter_mut().enumerate() {
            let at = |row: &[usize; COLUMNS], place: usize| row.get(place).copied().unwrap_or(FAR);
            let Some(length) = self.length(next.read, place) else { continue };
            let letter_at =
                |length: usize| length.checked_sub(1).and_then(|index| self.key.get(index)).copied();
            *cost = match letter_at(length) {
                None => next.read,
                Some(wanted) => {
                    let changed = at(&state.row, place) + usize::from(wanted != letter);
                    let left_out = at(&state.row, place + 1) + 1;
                    let is_swapped =
                        state.read > 0 && state.last == wanted && letter_at(length - 1) == Some(letter);
                    let swapped = if is_swapped { at(&state.before, place) + 1 } else { FAR };
                    changed.min(left_out).min(added + 1).min(swapped)
                }
            };
            added = *cost;
        }
        next
    }

    /// To the whole key.
    fn cost(&self, state: &State) -> Option<usize> {
        let place = (self.key.len() + limits::MAX_NEAR_DISTANCE).checked_sub(state.read)?;
        state.row.get(place).copied().filter(|cost| *cost <= self.most)
    }

    /// Something that begins so may be near.
    fn is_alive(&self, state: &State) -> bool {
        state.row.iter().any(|cost| *cost <= self.most)
    }

    /// The distance, when it is within the bound.
    fn distance(&self, id: &str) -> Option<usize> {
        let end = id.bytes().try_fold(self.start(), |state, letter| {
            let next = self.step(&state, letter);
            self.is_alive(&next).then_some(next)
        })?;
        self.cost(&end)
    }

    /// The first text of all that is near.
    fn first(&self) -> Option<String> {
        self.completed(Vec::new(), self.start())
    }

    /// The first text after that one that is near.
    fn after(&self, id: &str) -> Option<String> {
        let mut states = vec![self.start()];
        for letter in id.bytes() {
            let Some(next) = states.last().map(|state| self.step(state, letter)) else { break };
            if !self.is_alive(&next) {
                break;
            }
            states.push(next);
        }
        let letters = id.as_bytes();
        // All of it was read: what goes on from there comes first.
        if states.len() > letters.len()
            && let Some(longer) = states.last().and_then(|state| self.next(state, letters, 0))
        {
            return Some(longer);
        }
        // Else the longest beginning that can go on with a greater letter.
        while let Some(state) = states.pop() {
            let read = states.len();
            if let Some(last) = letters.get(read)
                && let Some(other) = self.next(&state, letters.get(..read)?, last.saturating_add(1))
            {
                return Some(other);
            }
        }
        None
    }

    /// The first near text that goes on from a beginning with a letter from that one on.
    fn next(&self, state: &State, beginning: &[u8], from: u8) -> Option<String> {
        let letters = ALPHABET.iter().filter(|letter| **letter >= from);
        for letter in letters {
            let next = self.step(state, *letter);
            if self.is_alive(&next) {
                let mut text = beginning.to_vec();
                text.push(*letter);
                return self.completed(text, next);
            }
        }
        None
    }

    /// With the fewest and first letters that make it near.
    fn completed(&self, mut text: Vec<u8>, mut state: State) -> Option<String> {
        while self.cost(&state).is_none() {
            let mut steps = ALPHABET.iter().map(|letter| (*letter, self.step(&state, *letter)));
            let (letter, next) = steps.find(|(_, next)| self.is_alive(next))?;
            text.push(letter);
            state = next;
        }
        String::from_utf8(text).ok()
    }
}
