//! Answers as clients read them: numbers as numbers, everything else as text, `PrimaryResult` by name.

use std::fmt::Write as _;

use dps_kql::{Render, TICKS_PER_DAY, TICKS_PER_SECOND, Value as Cell};
use dps_model::TrackingId;
use dps_monitor::{Answer, PartialAnswer};
use http::Response;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Number, Value, json};

use super::prefer::Prefer;
use crate::answer::{JSON, dress, text};
use crate::request::Body;

/// Of every answer.
pub(super) const MEDIA_TYPE: &str = "application/json; charset=utf-8";

/// The HTTP answer to a call that did what was asked.
pub(super) fn response(body: &Value, tracking_id: TrackingId) -> Response<Body> {
    let mut response = Response::new(text(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    dress(response.headers_mut(), tracking_id);
    response
}

/// The body of an answer.
pub(super) fn answer(answer: &Answer, prefer: &Prefer) -> Value {
    let columns = answer.table.columns.iter();
    let columns: Vec<_> =
        columns.map(|column| json!({"name": column.name, "type": column.ty.name()})).collect();
    let rows = answer.table.rows.iter().map(|row| Value::Array(row.iter().map(cell).collect()));
    let mut body = Map::new();
    body.insert(
        "tables".into(),
        json!([{"name": "PrimaryResult", "columns": columns, "rows": rows.collect::<Vec<_>>()}]),
    );
    if prefer.statistics {
        let seconds = answer.elapsed.as_secs_f64();
        body.insert(
            "statistics".into(),
            json!({"query": {
                "executionTime": seconds,
                "datasetStatistics": [{
                    "tableRowCount": answer.table.rows.len(),
                    "tableSize": 0,
                }],
                "inputDatasetStatistics": {"rows": {"total": answer.scanned_rows}},
            }}),
        );
    }
    if prefer.render {
        body.insert("render".into(), render(answer.render.as_ref()));
    }
    if prefer.sources {
        body.insert("dataSources".into(), json!([]));
    }
    if let Some(partial) = answer.partial {
        body.insert("error".into(), partial_error(partial));
    }
    Value::Object(body)
}

/// Told beside the rows that there are: clients take it for a partial result.
fn partial_error(partial: PartialAnswer) -> Value {
    let (code, message) = match partial {
        PartialAnswer::Rows => {
            ("ResultRowLimitExceeded", "The result has more rows than an answer may have; it was cut.")
        }
        PartialAnswer::Bytes => {
            ("ResultSizeLimitExceeded", "The result is larger than an answer may be; it was cut.")
        }
    };
    json!({
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [{
            "code": "EngineError",
            "message": "Something went wrong processing your query on the server.",
            "innererror": {
                "code": code,
                "message": format!("{message} Filter earlier, summarize, or take fewer rows."),
                "severity": 2,
                "severityName": "Error",
            },
        }],
    })
}

/// What `render` says, in the members that Azure's clients know; all of them are there without it, too.
fn render(render: Option<&Render>) -> Value {
    let mut shown = Map::new();
    for name in [
        "visualization",
        "title",
        "kind",
        "xColumn",
        "series",
        "yColumns",
        "xTitle",
        "yTitle",
        "xAxis",
        "yAxis",
        "legend",
        "ySplit",
        "ymin",
        "ymax",
        "annotation",
        "by",
    ] {
        shown.insert(name.into(), Value::Null);
    }
    shown.insert("accumulate".into(), json!(false));
    shown.insert("isQuerySorted".into(), json!(false));
    let Some(render) = render else { return Value::Object(shown) };
    shown.insert("visualization".into(), json!(render.visualization));
    for (name, value) in &render.properties {
        let known = shown.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
        let value = match value.to_ascii_lowercase().as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => json!(value),
        };
        shown.insert(known.unwrap_or_else(|| name.clone()), value);
    }
    Value::Object(shown)
}

/// A cell: strings for what JSON has no type for, dynamic included.
pub(super) fn cell(value: &Cell) -> Value {
    match value {
        Cell::Null(_) => Value::Null,
        Cell::Bool(truth) => Value::Bool(*truth),
        Cell::Int(number) => Value::from(*number),
        Cell::Long(number) => Value::from(*number),
        Cell::Real(number) => real(*number),
        Cell::Decimal(digits) => Value::String(digits.to_string()),
        Cell::String(text) => Value::String(text.to_string()),
        Cell::DateTime(ticks) => Value::String(datetime(*ticks)),
        Cell::TimeSpan(ticks) => Value::String(timespan(*ticks)),
        Cell::Guid(bytes) => Value::String(uuid::Uuid::from_bytes(*bytes).to_string()),
        Cell::Dynamic(Value::String(text)) => Value::String(text.clone()),
        Cell::Dynamic(json) => Value::String(json.to_string()),
    }
}

fn real(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => json!("NaN"),
        None if number > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// RFC 3339 in UTC, with as many of seven fractional digits as are needed.
fn datetime(ticks: i64) -> String {
    let (days, rest) = (ticks.div_euclid(TICKS_PER_DAY), ticks.rem_euclid(TICKS_PER_DAY));
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (rest / TICKS_PER_SECOND, rest % TICKS_PER_SECOND);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction > 0 {
        let digits = format!("{fraction:07}");
        // Writing to a String cannot fail.
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Year, month and day of a number of days since 0001-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, a leap day ends its year.
    let days = days + 306;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// `[-][d.]hh:mm:ss[.fffffff]`.
fn timespan(ticks: i64) -> String {
    let (sign, ticks) = (if ticks < 0 { "-" } else { "" }, ticks.unsigned_abs());
    let (day, second) = (TICKS_PER_DAY.unsigned_abs(), TICKS_PER_SECOND.unsigned_abs());
    let (days, seconds, fraction) = (ticks / day, ticks % day / second, ticks % second);
    let days = if days > 0 { format!("{days}.") } else { String::new() };
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction > 0 { format!(".{fraction:07}") } else { String::new() };
    format!("{sign}{days}{clock}{fraction}")
}

#[cfg(test)]
mod tests {
    use dps_kql::Type;

    use super::*;

    #[test]
    fn cells_are_what_clients_of_azure_read() {
        for (value, shown) in [
            (Cell::Null(Type::Long), json!(null)),
            (Cell::Long(i64::MAX), json!(i64::MAX)),
            (Cell::Real(0.5), json!(0.5)),
            (Cell::Real(f64::NAN), json!("NaN")),
            (Cell::Real(f64::INFINITY), json!("Infinity")),
            (Cell::Real(f64::NEG_INFINITY), json!("-Infinity")),
            (Cell::Decimal("1.50".into()), json!("1.50")),
            (Cell::DateTime(0), json!("0001-01-01T00:00:00Z")),
            (Cell::DateTime(621_355_968_000_000_000), json!("1970-01-01T00:00:00Z")),
            (Cell::DateTime(637_134_335_999_999_990), json!("2019-12-31T23:59:59.999999Z")),
            (Cell::DateTime(3_155_378_975_999_999_999), json!("9999-12-31T23:59:59.9999999Z")),
            (Cell::TimeSpan(36_610 * TICKS_PER_SECOND), json!("10:10:10")),
            (Cell::TimeSpan(-TICKS_PER_DAY - 1), json!("-1.00:00:00.0000001")),
            (Cell::Guid([0x11; 16]), json!("11111111-1111-1111-1111-111111111111")),
            (Cell::Dynamic(json!({"a": [1]})), json!("{\"a\":[1]}")),
            (Cell::Dynamic(json!("text")), json!("text")),
        ] {
            assert_eq!(cell(&value), shown, "{value:?}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for days in (0..3_652_059).step_by(37) {
            let date = jiff::civil::date(1, 1, 1) + jiff::Span::new().days(i32::try_from(days).unwrap());
            let wanted = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(civil(days), wanted, "{days}");
        }
    }
}
