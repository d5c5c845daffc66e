//! `muster timeline`: what happened to a device. Owns how a timeline is shown; must not know how it is made.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde_json::Value;

use crate::fleet::Failure;
use crate::fleet::api::service::SEGMENT;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Form, line, plain};

/// Options of `muster timeline`.
#[derive(clap::Args)]
pub struct TimelineOptions {
    /// Registration id of the device
    #[arg(value_name = "ID")]
    registration_id: String,
    /// What began at this time or later, e.g. 2026-11-29T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// What began before this time; such a timeline tells no gaps
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM", help_heading = "Output")]
    output: Option<Form>,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Asks and shows.
pub async fn run(options: TimelineOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let id = utf8_percent_encode(&options.registration_id, SEGMENT);
    let said = [("from", options.from), ("to", options.to)];
    let parameters: Vec<(&str, String)> =
        said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let told = control.diagnosis(Method::GET, &format!("devices/{id}/timeline"), &parameters, None).await?;
    if told["entries"].as_array().is_none_or(Vec::is_empty) {
        return Err(Failure::Missing(format!(
            "nothing of {} is on record: it did not reach this provisioning service, came under another id or id scope \
             (`muster attempts --refused`), or longer ago than the log of attempts goes",
            plain(&options.registration_id)
        )));
    }
    let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
    match options.output.unwrap_or(usual) {
        Form::Json => line(&format!("{told:#}")),
        Form::Jsonl => {
            let entries = told["entries"].as_array().into_iter().flatten();
            entries.map(ToString::to_string).try_for_each(|entry| line(&entry))
        }
        Form::Table => line(&shown(&told)),
    }
}

/// A line an entry, the day where it changes, and beneath it what there is to say.
fn shown(told: &Value) -> String {
    let mut text = String::new();
    let mut day = String::new();
    for entry in told["entries"].as_array().into_iter().flatten() {
        let word = |name: &str| plain(entry[name].as_str().unwrap_or_default());
        let time = word("time");
        let (date, clock) = time.split_once('T').unwrap_or(("", &time));
        if date != day {
            let _ = writeln!(text, "{date}"); // to a String: it does not fail
            date.clone_into(&mut day);
        }
        // Milliseconds do.
        let clock: String = clock.trim_end_matches('Z').chars().take(12).collect();
        let took = match entry["durationMs"].as_f64().unwrap_or(0.0) {
            0.0 => String::new(),
            took => format!("{took:.1} ms"),
        };
        let _ = writeln!(text, "  {clock:<12}  {:<7}  {took:>11}  {}", mark(&word("result")), word("title"));
        let detail = word("detail");
        if !detail.is_empty() {
            let _ = writeln!(text, "{:38}{detail}", "");
        }
        for cause in entry["causes"].as_array().into_iter().flatten() {
            let word = |name: &str| plain(cause[name].as_str().unwrap_or_default());
            let _ = writeln!(text, "{:38}{}: {}", "", word("code"), word("sentence"));
        }
    }
    for gap in told["gaps"].as_array().into_iter().flatten() {
        let word = |name: &str| plain(gap[name].as_str().unwrap_or_default());
        let _ = writeln!(text, "\nMissing: {}, since {}\n  {}", word("title"), word("since"), word("detail"));
    }
    if told["truncated"] == true {
        text.push_str("\nThere is more: narrow it with --from and --to.\n");
    }
    text.trim_end().to_owned()
}

fn mark(result: &str) -> &str {
    match result {
        "info" => "",
        "gap" => "MISSING",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn timeline_is_a_line_an_entry_with_its_day_causes_and_gaps() {
        let told = json!({
            "entries": [
                {"time": "2026-11-29T08:00:00.123Z", "result": "info", "durationMs": 0.0, "title": "Connected over Mqtt",
                 "detail": "", "causes": []},
                {"time": "2026-11-29T08:00:00.125Z", "result": "refused", "durationMs": 3.25, "title": "Refused \u{1b}[2J",
                 "detail": "401002: the token is old", "causes": [{"code": "CLOCK_SKEW", "sentence": "Its clock is late.",
                 "inferred": false}]},
                {"time": "2026-11-30T08:00:00Z", "result": "gap", "durationMs": 0.0, "title": "never polled",
                 "detail": "", "causes": []},
            ],
            "gaps": [{"title": "never polled", "since": "2026-11-30T08:00:00Z", "detail": "See the client."}],
            "truncated": true,
        });
        let text = shown(&told);
        assert!(!text.contains('\u{1b}'), "{text}");
        for part in [
            "2026-11-29\n  08:00:00.123                        Connected over Mqtt\n",
            "refused       3.2 ms  Refused",
            "\n2026-11-30\n  08:00:00      MISSING",
            "CLOCK_SKEW: Its clock is late.",
            "Missing: never polled, since 2026-11-30T08:00:00Z\n  See the client.",
            "--from and --to",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
}
