//! A table that grows between and within looks: whatever comes within the time that rows may be late is shown once.

use std::sync::Mutex;

use serde_json::json;

use super::*;

/// Rows that are there.
#[derive(Default)]
struct Table {
    rows: Mutex<Vec<(i64, Vec<Value>)>>,
    asked: Mutex<Vec<(i64, usize)>>,
}

impl Table {
    fn add(&self, time: i64, text: &str) {
        self.rows.lock().unwrap().push((time, vec![json!(time), json!(text)]));
    }
}

impl Source for Table {
    async fn rows(&self, from: i64, most: usize) -> Result<Page, Failure> {
        self.asked.lock().unwrap().push((from, most));
        let mut rows: Vec<_> =
            self.rows.lock().unwrap().iter().filter(|(time, _)| *time >= from).cloned().collect();
        rows.sort_by_key(|(time, _)| *time);
        rows.truncate(most);
        Ok(Page { columns: vec!["t".into(), "x".into()], is_last: rows.len() < most, rows })
    }
}

fn follower(start: i64, late: i64) -> Follower {
    Follower { first_page: 4, ..Follower::new(start, late) }
}

async fn poll(follower: &mut Follower, table: &Table, now: i64) -> (Vec<String>, Option<String>) {
    let mut seen = Vec::new();
    let mut show = |page: &Page| {
        seen.extend(page.rows.iter().map(|(time, row)| format!("{time}{}", row[1].as_str().unwrap())));
        Ok(())
    };
    let told = follower.poll(table, now, &mut show).await.ok().unwrap();
    (seen, told)
}

#[tokio::test]
async fn late_row_is_shown_once_and_equal_rows_as_often_as_they_are() {
    let (table, mut follower) = (Table::default(), follower(100, 50));
    table.add(99, "before");
    table.add(110, "a");
    table.add(110, "a");
    assert_eq!(poll(&mut follower, &table, 200).await.0, ["110a", "110a"]);
    assert!(poll(&mut follower, &table, 200).await.0.is_empty());
    table.add(105, "late");
    table.add(110, "a");
    table.add(150, "b");
    assert_eq!(poll(&mut follower, &table, 200).await.0, ["105late", "110a", "150b"]);
    table.add(100, "too late");
    table.add(99, "before");
    table.add(101, "c");
    assert_eq!(poll(&mut follower, &table, 200).await.0, ["100too late", "101c"]);
    table.add(200, "d");
    assert_eq!(poll(&mut follower, &table, 200).await.0, ["200d"]);
    table.add(149, "too late");
    assert!(poll(&mut follower, &table, 200).await.0.is_empty());
    assert_eq!(follower.shown.len(), 2, "what lies before the window is forgotten");
}

#[tokio::test]
async fn row_from_the_future_hides_no_row_of_now() {
    let (table, mut follower) = (Table::default(), follower(100, 10));
    table.add(9_999, "future");
    assert_eq!(poll(&mut follower, &table, 100).await.0, ["9999future"]);
    table.add(120, "now");
    assert_eq!(poll(&mut follower, &table, 121).await.0, ["120now"]);
    assert!(poll(&mut follower, &table, 122).await.0.is_empty());
}

#[tokio::test]
async fn more_rows_of_one_instant_than_a_page_are_all_shown() {
    let (table, mut follower) = (Table::default(), follower(0, 10));
    for number in 0..9 {
        table.add(5, &format!("n{}", number / 2));
    }
    table.add(6, "end");
    let (seen, _) = poll(&mut follower, &table, 10).await;
    assert_eq!(seen.len(), 10, "{seen:?}");
    let asked: Vec<usize> = table.asked.lock().unwrap().iter().map(|(_, most)| *most).collect();
    assert_eq!(asked, [4, 4, 8, 16]);
    assert!(poll(&mut follower, &table, 10).await.0.is_empty());
}

#[tokio::test]
async fn memory_is_bounded_and_what_that_costs_is_said() {
    let (table, mut follower) = (Table::default(), follower(0, 1_000));
    follower.most_shown = 3;
    for time in 1..=5 {
        table.add(time, "x");
    }
    let (seen, told) = poll(&mut follower, &table, 10).await;
    assert_eq!((seen.len(), follower.shown.len(), follower.floor), (5, 3, 3));
    assert!(told.is_some_and(|told| told.contains("more than 3 rows")));
    let (seen, told) = poll(&mut follower, &table, 10).await;
    assert!(seen.is_empty() && told.is_none(), "no row twice: {seen:?}");
}

#[tokio::test]
async fn any_order_of_coming_shows_each_row_once() {
    for seed in 1..200_u64 {
        let (table, mut follower) = (Table::default(), follower(0, 30));
        let mut state = seed;
        let mut chance = |below: u64| {
            // The generator of Knuth's MMIX.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((state >> 33) % below).unwrap()
        };
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        for now in 30..80 {
            for _ in 0..chance(6) {
                // Late, yet not too late: the window begins behind the newest row.
                let (time, text) = (now - chance(15), format!("r{}", chance(2)));
                table.add(time, &text);
                expected.push(format!("{time}{text}"));
            }
            seen.extend(poll(&mut follower, &table, now).await.0);
        }
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected, "seed {seed}");
        assert!(follower.shown.len() <= 60 * 2, "seed {seed}");
    }
}
