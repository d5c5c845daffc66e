//! How figures are told: medians with their extremes, ratios of rounds, one table. Must not know where they come from.

use std::fmt;

/// Figures of several rounds.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a round.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Half are below.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.len() % 2) {
            (Some(upper), 0) => f64::midpoint(sorted[middle - 1], *upper),
            (Some(only), _) => *only,
            (None, _) => f64::NAN,
        }
    }

    /// Round by round, this over that.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(this, that)| this / that).collect())
    }
}

impl fmt::Display for Series {
    /// Median, and the extremes when there is more than one round.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self
            .0
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &one| (low.min(one), high.max(one)));
        if self.0.len() < 2 {
            return write!(f, "{}", Figure(self.median()));
        }
        write!(f, "{} ({}–{})", Figure(self.median()), Figure(low), Figure(high))
    }
}

/// Three digits that say something.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0.abs() {
            big if big >= 100.0 => 0,
            middle if middle >= 10.0 => 1,
            _ => 2,
        };
        write!(f, "{:.decimals$}", self.0)
    }
}

/// Which way a goal points.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least.
    AtLeast(f64),
    /// At most.
    AtMost(f64),
}

/// A line of the table.
pub struct Row {
    /// What is measured, with its unit.
    pub what: String,
    /// Muster.
    pub ours: Series,
    /// What it is compared with.
    pub theirs: Series,
    /// The figure that counts, where it is not `ours` itself.
    pub ratio: Option<Series>,
    /// What it should be.
    pub goal: Option<Goal>,
}

impl Row {
    /// Muster beside something else; the ratio is ours over theirs.
    pub fn compared(what: impl Into<String>, ours: Series, theirs: Series, goal: Option<Goal>) -> Self {
        let ratio = Some(ours.over(&theirs));
        Self { what: what.into(), ours, theirs, ratio, goal }
    }
}

/// Prints the rows as a Markdown table.
pub fn print(title: &str, ours: &str, theirs: &str, rows: &[Row]) {
    println!("\n### {title}\n\n| | {ours} | {theirs} | ratio | goal |\n|---|---|---|---|---|");
    for Row { what, ours, theirs, ratio, goal } in rows {
        let shown = ratio.as_ref().map(ToString::to_string).unwrap_or_default();
        let counts = ratio.as_ref().unwrap_or(ours).median();
        let goal = match *goal {
            None => String::new(),
            Some(Goal::AtLeast(goal)) => format!("≥ {goal}: {}", verdict(counts >= goal)),
            Some(Goal::AtMost(goal)) => format!("≤ {goal}: {}", verdict(counts <= goal)),
        };
        println!("| {what} | {ours} | {theirs} | {shown} | {goal} |");
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn series_shows_median_and_extremes() {
        let series = Series(vec![3.0, 1.0, 200.0, 2.0]);
        assert_eq!(series.to_string(), "2.50 (1.00–200)");
        assert_eq!(Series(vec![12.345]).to_string(), "12.3");
        assert_eq!(Series(vec![4.0, 9.0]).over(&Series(vec![2.0, 3.0])).to_string(), "2.50 (2.00–3.00)");
    }
}
