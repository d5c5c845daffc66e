//! `muster diagnose`: why a device fared as it did. Owns how it is asked for and how causes are shown; must not know how
//! they are found.

use std::io::IsTerminal as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fleet::Failure;
use crate::fleet::api::ControlPlane;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Form, line, plain};

/// Options of `muster diagnose`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub struct DiagnoseOptions {
    /// Registration id of the device, or the trackingId of an error that it printed
    #[arg(value_name = "ID", group = "which")]
    id: Option<String>,
    /// What was refused last, whoever it was
    #[arg(long, group = "which")]
    last: bool,
    /// Form of the output [default: text on a terminal, else json]
    #[arg(long, short, value_name = "FORM", help_heading = "Output")]
    output: Option<Form>,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Asks and shows.
pub async fn run(options: DiagnoseOptions) -> Result<(), Failure> {
    let control = options.instance.open()?;
    let ask = async |parameters: &[(&str, String)]| -> Result<Option<Value>, Failure> {
        let one = parameters.iter().cloned().chain([("$top", "1".to_owned())]).collect::<Vec<_>>();
        let mut told = control.diagnosis(Method::GET, "attempts", &one, None).await?;
        Ok(told["value"].get_mut(0).map(Value::take))
    };
    let refused = ("refused", "true".to_owned());
    let diagnosis = match &options.id {
        None => json!({ "refusal": ask(&[refused]).await? }),
        Some(id) if uuid::Uuid::parse_str(id).is_ok() => {
            json!({ "refusal": ask(&[("trackingId", id.clone())]).await? })
        }
        Some(id) => {
            let of = ("registrationId", id.clone());
            let (refusal, last) = (ask(&[of.clone(), refused]).await?, ask(&[of]).await?);
            json!({ "refusal": refusal, "last": last, "hub": on_hub(&control, id).await? })
        }
    };
    if diagnosis["refusal"].is_null() && diagnosis["last"].is_null() {
        return Err(Failure::Missing(nothing(options.id.as_deref())));
    }
    let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
    match options.output.unwrap_or(usual) {
        Form::Json => line(&format!("{diagnosis:#}")),
        Form::Jsonl => line(&diagnosis.to_string()),
        Form::Table => line(&shown(&diagnosis)),
    }
}

/// Whether the device's hub still has it; nothing of a device that never registered.
async fn on_hub(control: &ControlPlane, id: &str) -> Result<Option<Value>, Failure> {
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
    match control.diagnosis(Method::GET, &format!("devices/{id}/drift"), &[], None).await {
        Ok(told) => Ok(Some(told)),
        Err(Failure::Refused(refusal)) if refusal.status == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn nothing(id: Option<&str>) -> String {
    match id {
        None => "nothing was refused as far back as the log of attempts goes".to_owned(),
        Some(id) => format!(
            "nothing of {} is on record: it did not reach this provisioning service, came under another id or id scope \
             (`muster diagnose --last`), or longer ago than the log of attempts goes; `muster doctor` tries the way from \
             the device's side",
            plain(id)
        ),
    }
}

/// The refusal with its causes, and what came after it.
fn shown(diagnosis: &Value) -> String {
    let (refusal, last) = (&diagnosis["refusal"], &diagnosis["last"]);
    let mut parts = Vec::new();
    if !refusal.is_null() {
        parts.push(head(refusal));
        parts.extend(refusal["causes"].as_array().into_iter().flatten().map(cause));
    }
    if !last.is_null() && last["position"] != refusal["position"] {
        let since = if refusal.is_null() { "Never refused" } else { "Since then" };
        parts.push(format!("{since}: {}", head(last)));
        parts.extend(last["causes"].as_array().into_iter().flatten().map(cause));
    }
    parts.extend(diagnosis["hub"]["causes"].as_array().into_iter().flatten().map(cause));
    parts.join("\n\n")
}

fn head(attempt: &Value) -> String {
    let text = |name: &str| plain(attempt[name].as_str().unwrap_or_default());
    let who = match text("registrationId") {
        who if who.is_empty() => "(no registration id)".to_owned(),
        who => who,
    };
    let end = if attempt["error"].is_null() {
        text("result")
    } else {
        let message = plain(attempt["error"]["message"].as_str().unwrap_or_default());
        format!("{} {message}", attempt["error"]["code"])
    };
    format!(
        "{}  {who}  {}  {}: {end}\ntracking id {}",
        text("time"),
        text("protocol"),
        text("operation"),
        text("trackingId")
    )
}

/// A cause as a person reads it.
pub(super) fn cause(cause: &Value) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let mark = if cause["inferred"] == true { " (inferred)" } else { "" };
    let mut lines = vec![format!("{}{mark}: {}", text(&cause["code"]), text(&cause["sentence"]))];
    for fact in cause["evidence"].as_array().into_iter().flatten() {
        lines.push(format!("  {} = {}", text(&fact["name"]), text(&fact["value"])));
    }
    for fix in cause["fix"].as_array().into_iter().flatten() {
        lines.push(format!("  -> {}", text(&fix["text"])));
        lines.extend(fix["command"].as_str().map(|command| format!("     {}", plain(command))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn refusal_is_shown_with_causes_and_what_came_after_it() {
        let attempt = |position: &str, error: serde_json::Value| {
            json!({
                "position": position, "time": "2026-11-29T08:00:00Z", "registrationId": "robot\u{1b}-42", "protocol": "Mqtt",
                "operation": "AttestationAttempt", "result": "ok", "trackingId": "t", "error": error,
            })
        };
        let mut refusal = attempt("1", json!({"code": 401_000, "message": "Unauthorized"}));
        refusal["causes"] = json!([{
            "code": "SAS_GROUP_KEY_USED", "sentence": "the group's key.", "inferred": false,
            "evidence": [{"name": "enrollment", "value": "factory"}],
            "fix": [{"text": "derive", "command": "muster x"}],
        }]);
        let last = attempt("2", serde_json::Value::Null);
        assert_eq!(
            shown(&json!({"refusal": refusal, "last": last})),
            "2026-11-29T08:00:00Z  robot\u{fffd}-42  Mqtt  AttestationAttempt: 401000 Unauthorized\ntracking id t\n\n\
             SAS_GROUP_KEY_USED: the group's key.\n  enrollment = factory\n  -> derive\n     muster x\n\n\
             Since then: 2026-11-29T08:00:00Z  robot\u{fffd}-42  Mqtt  AttestationAttempt: ok\ntracking id t"
        );
    }
}
