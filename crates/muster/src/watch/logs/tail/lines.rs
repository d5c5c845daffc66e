//! Rows as lines for a person, in columns that widen as they must. Must not know which rows are new.

use std::io::IsTerminal as _;

use serde_json::Value;

use super::follow::Page;
use super::{TIME, instant};
use crate::fleet::Failure;
use crate::fleet::output::{cell, plain, terminal_width, write};
use crate::watch::limits::MAX_TAIL_COLUMN;

/// Columns with the widths that they have had so far.
#[derive(Default)]
pub struct Lines {
    widths: Vec<usize>,
}

impl Lines {
    /// Writes the rows, and before the first of all the names of the columns.
    pub fn print(&mut self, page: &Page) -> Result<(), Failure> {
        if page.rows.is_empty() {
            return Ok(());
        }
        let width = std::io::stdout().is_terminal().then(|| usize::from(terminal_width()));
        write(&self.text(page, width))
    }

    fn text(&mut self, page: &Page, width: Option<usize>) -> String {
        let mut rows: Vec<Vec<String>> = Vec::with_capacity(page.rows.len() + 1);
        if self.widths.is_empty() {
            rows.push(page.columns.iter().map(|name| plain(name)).collect());
        }
        let times = page.columns.iter().position(|name| name == TIME);
        for (_, row) in &page.rows {
            let cells = row.iter().enumerate();
            rows.push(
                cells
                    .map(|(at, value)| if Some(at) == times { time(value) } else { cell(Some(value)) })
                    .collect(),
            );
        }
        self.widths.resize(self.widths.len().max(page.columns.len()), 0);
        for row in &rows {
            for (widest, text) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(text.chars().count()).min(MAX_TAIL_COLUMN);
            }
        }
        rows.iter().map(|row| self.line(row, width) + "\n").collect()
    }

    fn line(&self, row: &[String], width: Option<usize>) -> String {
        let mut line = String::new();
        for (at, (text, widest)) in row.iter().zip(&self.widths).enumerate() {
            if at + 1 == row.len() {
                line.push_str(text);
            } else {
                let text = cut(text, *widest);
                line.push_str(&text);
                line.extend(std::iter::repeat_n(' ', widest.saturating_sub(text.chars().count()) + 2));
            }
        }
        let line = line.trim_end();
        width.map_or_else(|| line.to_owned(), |width| cut(line, width))
    }
}

/// To the millisecond, so that all are equally long.
fn time(value: &Value) -> String {
    match instant(value).map(dps_kql::literal::format_datetime) {
        Some(text) => text.get(..23).map_or_else(|| text.clone(), |start| format!("{start}Z")),
        None => cell(Some(value)),
    }
}

/// At most so many characters; what is left out is said.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(rows: &[[&str; 3]]) -> Page {
        let columns = [TIME, "ResultType", "Text"].map(str::to_owned).to_vec();
        let rows = rows.iter().map(|row| (0, row.iter().map(|text| json!(text)).collect())).collect();
        Page { columns, rows, is_last: true }
    }

    #[test]
    fn columns_stay_under_each_other_and_within_the_terminal() {
        let mut lines = Lines::default();
        let text = lines.text(&page(&[["2026-11-29T03:00:01.5Z", "Success", "a\u{1b}b"]]), None);
        assert_eq!(
            text,
            "TimeGenerated             ResultType  Text\n2026-11-29T03:00:01.500Z  Success     a\u{fffd}b\n"
        );
        let long = "x".repeat(99);
        let text =
            lines.text(&page(&[["2026-11-29T03:00:02Z", "ClientError", &long], ["odd", "", ""]]), Some(60));
        let expected = format!("2026-11-29T03:00:02.000Z  ClientError  {}…\nodd\n", "x".repeat(20));
        assert_eq!(text, expected);
        let text = lines.text(&page(&[["odd", &long, "end"]]), None);
        assert!(text.ends_with("x…  end\n") && text.chars().count() < 99, "{text}");
    }
}
