//! Values as a picture of characters: lines of columns for one series, a line each for several. Owns shapes; must not know
//! where values come from.

use super::answer::{Series, Values};
use super::definition::Definition;
use crate::fleet::output::plain;
use crate::watch::limits::{CHART_HEIGHT, MAX_CHART_WIDTH};

/// Eighths of a column, from nothing to all.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing was counted: nothing is not nought.
const NOTHING: char = '·';
/// Narrowest chart, in columns.
const MIN_WIDTH: usize = 10;

/// The metric, what is shown of it, and each series.
pub fn draw(metric: &Definition, values: &Values, aggregations: &[String], width: u16) -> String {
    let width = usize::from(width).min(MAX_CHART_WIDTH);
    let (start, end) = values.timespan.split_once('/').unwrap_or((&values.timespan, ""));
    let mut lines = vec![plain(&format!("{} ({}), every {}", metric.title, metric.unit, values.interval))];
    for aggregation in aggregations {
        let name = aggregation.trim();
        lines.push(String::new());
        match values.series.as_slice() {
            [] => lines.push(format!("{name}: nothing was counted")),
            [series] => {
                let label = series.label();
                let joint = if label.is_empty() { "" } else { " of " };
                let points = series.values(name);
                lines.push(plain(&format!("{name}{joint}{label}: {}", figures(&points))));
                lines.extend(columns(&points, width, start, end));
            }
            several => {
                lines.push(format!("{name}, {start} to {end}"));
                lines.extend(sparklines(several, name, width));
            }
        }
    }
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// A line for each series, on one scale.
fn sparklines(series: &[Series], aggregation: &str, width: usize) -> Vec<String> {
    let labels: Vec<String> = series.iter().map(|series| plain(&series.label())).collect();
    let points: Vec<Vec<Option<f64>>> = series.iter().map(|series| series.values(aggregation)).collect();
    let widest = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    let top = greatest(points.iter().flatten());
    let told: Vec<String> = points.iter().map(|points| figures(points)).collect();
    let behind = told.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    let room = width.saturating_sub(widest + behind + 4).max(MIN_WIDTH);
    let line = |((label, points), told): ((&String, &Vec<Option<f64>>), &String)| {
        let line: String = squeezed(points, room).into_iter().map(|point| spark(point, top)).collect();
        format!("{label:widest$}  {line}  {told}")
    };
    labels.iter().zip(&points).zip(&told).map(line).collect()
}

/// Several lines, with a scale and the ends of time.
fn columns(points: &[Option<f64>], width: usize, start: &str, end: &str) -> Vec<String> {
    let top = greatest(points.iter());
    let scale = number(top);
    let margin = scale.chars().count().max(1);
    let points = squeezed(points, width.saturating_sub(margin + 3).max(MIN_WIDTH));
    let mut lines = Vec::new();
    for row in (0..CHART_HEIGHT).rev() {
        let label = if row + 1 == CHART_HEIGHT { scale.as_str() } else { "" };
        let line: String = points.iter().map(|point| block(*point, top, row)).collect();
        lines.push(format!("{label:>margin$} ┤{line}"));
    }
    let axis: String = points.iter().map(|point| if point.is_none() { NOTHING } else { '─' }).collect();
    lines.push(format!("{:>margin$} └{axis}", "0"));
    let between = points.len().saturating_sub(start.chars().count() + end.chars().count()).max(1);
    lines.push(format!("{:margin$}  {start}{}{end}", "", " ".repeat(between)));
    lines
}

/// The part of a column that lies in a row.
fn block(point: Option<f64>, top: f64, row: usize) -> char {
    let filled = eighths(point.unwrap_or_default(), top, CHART_HEIGHT * 8);
    EIGHTHS[filled.saturating_sub(row * 8).min(8)]
}

fn spark(point: Option<f64>, top: f64) -> char {
    match point {
        None => NOTHING,
        // Nought is seen, too.
        Some(value) => EIGHTHS[eighths(value, top, 8).max(1)],
    }
}

/// How much of a height a value takes; the least above nought is seen.
fn eighths(value: f64, top: f64, whole: usize) -> usize {
    if !(value > 0.0 && top > 0.0) {
        return 0;
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 64"
    )]
    let share = ((value / top).min(1.0) * whole as f64).round() as usize;
    share.clamp(1, whole)
}

fn greatest<'a>(points: impl Iterator<Item = &'a Option<f64>>) -> f64 {
    points.flatten().copied().filter(|value| value.is_finite()).fold(0.0, f64::max)
}

/// At most so many points: where there are more, each is the greatest of its neighbours.
fn squeezed(points: &[Option<f64>], most: usize) -> Vec<Option<f64>> {
    let each = points.len().div_ceil(most.max(1)).max(1);
    let greatest = |some: &[Option<f64>]| some.iter().flatten().copied().reduce(f64::max);
    points.chunks(each).map(greatest).collect()
}

/// `min 1, max 12, sum 120, last 3`.
fn figures(points: &[Option<f64>]) -> String {
    let there: Vec<f64> = points.iter().flatten().copied().collect();
    let (Some(least), Some(greatest), Some(last)) =
        (there.iter().copied().reduce(f64::min), there.iter().copied().reduce(f64::max), there.last())
    else {
        return "nothing was counted".to_owned();
    };
    let sum = number(there.iter().sum());
    format!("min {}, max {}, sum {sum}, last {}", number(least), number(greatest), number(*last))
}

/// Whole where it is, else with two digits.
fn number(value: f64) -> String {
    if (value - value.round()).abs() < 0.005 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn metric() -> Definition {
        Definition {
            name: "M".into(),
            title: "Some attempts".into(),
            namespace: "N".into(),
            unit: "Count".into(),
            aggregation: "Total".into(),
            dimensions: vec!["Status".into()],
        }
    }

    fn series(status: Option<&str>, points: &[Option<f64>]) -> Series {
        let point = |value: &Option<f64>| {
            let mut point = Map::new();
            if let Some(value) = value {
                point.insert("total".into(), json!(value));
            }
            point
        };
        let dimensions = status.map(|status| ("Status".to_owned(), status.to_owned())).into_iter().collect();
        Series { dimensions, points: points.iter().map(point).collect() }
    }

    fn drawn(series: Vec<Series>, width: u16) -> String {
        let values = Values {
            metric: json!(null),
            timespan: "2026-11-29T02:00:00Z/2026-11-29T03:00:00Z".into(),
            interval: "PT1M".into(),
            series,
        };
        draw(&metric(), &values, &["Total".into()], width)
    }

    #[test]
    fn one_series_is_columns_with_a_scale() {
        let text = drawn(vec![series(None, &[Some(0.0), Some(1.0), None, Some(8.0)])], 80);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Some attempts (Count), every PT1M");
        assert_eq!(lines[2], "Total: min 0, max 8, sum 9, last 8");
        assert_eq!((lines[3], lines[10], lines[11]), ("8 ┤   █", "  ┤ █ █", "0 └──·─"));
        assert_eq!(lines[12], "   2026-11-29T02:00:00Z 2026-11-29T03:00:00Z");
    }

    #[test]
    fn several_series_are_lines_on_one_scale_within_the_terminal() {
        let many: Vec<Option<f64>> = (0..500).map(|at| (at % 3 > 0).then_some(f64::from(at))).collect();
        let text =
            drawn(vec![series(Some("Success"), &many), series(Some("\u{1b}x"), &[Some(0.0), None])], 80);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "Total, 2026-11-29T02:00:00Z to 2026-11-29T03:00:00Z");
        assert!(lines[3].starts_with("Status=Success  ▁") && lines[3].contains('█'), "{text}");
        assert!(lines[4].starts_with("Status=\u{fffd}x       ▁·  min 0, max 0"), "{text}");
        assert!(lines[3..].iter().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(drawn(Vec::new(), 80).ends_with("Total: nothing was counted\n"));
        let text = drawn(vec![series(Some("a"), &[None, None])], 80);
        assert!(text.contains("Total of Status=a: nothing was counted\n0 ┤\n"), "{text}");
        assert!(drawn(vec![series(None, &[Some(f64::INFINITY), Some(f64::NAN)])], 40).contains('┤'));
    }
}
