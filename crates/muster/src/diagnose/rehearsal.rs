//! `muster test`: what would happen to a device. Owns how evidence is said on a command line and how steps are shown;
//! must not know what a step does.

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::fleet::Failure;
use crate::fleet::connection::InstanceOptions;
use crate::fleet::output::{Form, line, plain, table, terminal_width};
use crate::fleet::value::{bytes, object, secret, value_or_file};

/// What the device shows; at most one kind.
#[derive(clap::Args)]
#[group(id = "evidence", multiple = false)]
#[command(next_help_heading = "Evidence")]
struct EvidenceOptions {
    /// The device's certificate, PEM or DER; a PEM file may hold its chain too
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// A SAS token as the device sends it, or @FILE that holds it
    #[arg(long, value_name = "TOKEN")]
    sas: Option<String>,
    /// The device's symmetric key, base64, or @FILE that holds it; for a group the derived one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Endorsement key of the device's TPM, base64, or @FILE that holds it
    #[arg(long, value_name = "KEY")]
    ek: Option<String>,
    /// What the device showed when it was refused last, as the server remembers it
    #[arg(long, requires = "registration_id")]
    last_shown: bool,
}

#[derive(clap::Args)]
pub struct TestOptions {
    #[command(flatten)]
    evidence: EvidenceOptions,
    /// A certificate that the device sends along, PEM or DER; repeat for more
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Evidence")]
    chain: Vec<PathBuf>,
    /// Storage root key of the device's TPM, base64, or @FILE that holds it
    #[arg(long, value_name = "KEY", requires = "ek", help_heading = "Evidence")]
    srk: Option<String>,
    /// Registration id of the device [default: the certificate's common name, or what the token names]
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: Option<String>,
    /// An enrollment or a group as the service API takes it: for this test it stands in place of the one of its id
    #[arg(long, value_name = "FILE")]
    proposed: Option<PathBuf>,
    /// What the device sends along: JSON, or @FILE that holds it
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Address of the device [default: this machine's, as the server sees it]
    #[arg(long = "from", value_name = "ADDRESS")]
    client_address: Option<IpAddr>,
    /// How the device speaks
    #[arg(long, value_name = "PROTOCOL", value_parser = ["Http", "Mqtt", "MqttWs", "Amqp", "AmqpWs"], ignore_case = true)]
    protocol: Option<String>,
    /// Ask the webhook of a custom allocation too
    #[arg(long)]
    ask_webhook: bool,
    /// Form of the output [default: table on a terminal, else json]
    #[arg(long, short, value_name = "FORM", help_heading = "Output")]
    output: Option<Form>,
    #[command(flatten)]
    instance: InstanceOptions,
}

/// Asks, shows, and fails when the device would get no hub.
pub async fn run(options: TestOptions) -> Result<(), Failure> {
    let question = question(&options)?;
    let control = options.instance.open()?;
    let told = control.diagnosis(Method::POST, "rehearsals", &[], Some(question)).await?;
    let usual = if std::io::stdout().is_terminal() { Form::Table } else { Form::Json };
    match options.output.unwrap_or(usual) {
        Form::Json => line(&format!("{told:#}"))?,
        Form::Jsonl => line(&told.to_string())?,
        Form::Table => line(&shown(&told, terminal_width()))?,
    }
    match told["outcome"]["accepted"].as_bool() {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::Incomplete("the device would get no hub".to_owned())),
        None => {
            Err(Failure::Unreachable("the service answered with no rehearsal: is it a Muster?".to_owned()))
        }
    }
}

fn question(options: &TestOptions) -> Result<Value, Failure> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    set("registrationId", options.registration_id.clone().map(Value::from));
    set("evidence", evidence(options)?);
    let payload = options.payload.as_deref().map(value_or_file).transpose()?;
    let payload = payload.map(|text| serde_json::from_str::<Value>(&text)).transpose();
    let payload = payload.map_err(|error| Failure::Usage(format!("--payload is no JSON: {error}")))?;
    set("payload", payload);
    set("clientAddress", options.client_address.map(|address| address.to_string().into()));
    set("protocol", options.protocol.clone().map(Value::from));
    set("askWebhook", options.ask_webhook.then_some(Value::Bool(true)));
    set("proposed", options.proposed.as_deref().map(proposed).transpose()?);
    Ok(Value::Object(body))
}

fn evidence(options: &TestOptions) -> Result<Option<Value>, Failure> {
    let EvidenceOptions { cert, sas, key, ek, last_shown } = &options.evidence;
    if *last_shown {
        return Ok(Some(json!({"lastShown": true})));
    }
    if let Some(cert) = cert {
        let chain = std::iter::once(cert).chain(&options.chain).map(|path| certificate(path));
        return Ok(Some(json!({"certificateChain": chain.collect::<Result<Vec<_>, _>>()?})));
    }
    if let Some(sas) = sas {
        return Ok(Some(json!({"sasToken": secret(sas)?})));
    }
    if let Some(key) = key {
        return Ok(Some(json!({"symmetricKey": secret(key)?})));
    }
    let Some(ek) = ek else { return Ok(None) };
    let mut tpm = json!({"endorsementKey": secret(ek)?});
    if let Some(srk) = &options.srk {
        tpm["storageRootKey"] = secret(srk)?.into();
    }
    Ok(Some(json!({"tpm": tpm})))
}

/// PEM as it stands, DER as base64.
fn certificate(path: &Path) -> Result<String, Failure> {
    let bytes = bytes(path)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => STANDARD.encode(error.into_bytes()),
    })
}

/// Which kind of enrollment a file holds is told by its id.
fn proposed(path: &Path) -> Result<Value, Failure> {
    let enrollment = object(&format!("@{}", path.display()), "--proposed")?;
    if enrollment.get("registrationId").is_some() {
        return Ok(json!({"individualEnrollment": enrollment}));
    }
    if enrollment.get("enrollmentGroupId").is_some() {
        return Ok(json!({"enrollmentGroup": enrollment}));
    }
    Err(Failure::Usage(format!(
        "{} has neither registrationId nor enrollmentGroupId: write it as the service API takes an enrollment",
        path.display()
    )))
}

/// Steps, causes and the end, for a person.
fn shown(told: &Value, width: u16) -> String {
    let text = |value: &Value| plain(value.as_str().unwrap_or_default());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let step = |step: &Value| {
        let mark = match step["result"].as_str() {
            Some("ok") => "ok",
            Some("failed") => "FAILED",
            Some("open") => "open",
            _ => "-",
        };
        vec![mark.to_owned(), text(&step["title"]), text(&step["detail"])]
    };
    let steps: Vec<_> = list(&told["steps"]).iter().map(step).collect();
    let mut parts = vec![table(None, steps, width), text(&told["outcome"]["summary"])];
    parts.extend(list(&told["causes"]).iter().map(super::attempt::cause));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{certificate, proposed, shown};

    #[test]
    fn steps_stand_under_each_other_with_the_end_below() {
        let told = json!({
            "outcome": {"summary": "The device would be refused: 401000 Unauthorized"},
            "steps": [
                {"title": "Read the evidence", "result": "ok", "detail": "a SAS token"},
                {"title": "Verify the evidence", "result": "failed", "detail": "another key\u{1b}[2J"},
                {"title": "Choose the hub", "result": "notReached", "detail": ""},
            ],
            "causes": [{"code": "SAS_WRONG_KEY", "sentence": "Another key.",
                "fix": [{"text": "Use this one:", "command": "muster enrollment show"}]}],
        });
        assert_eq!(
            shown(&told, 100),
            "ok      Read the evidence    a SAS token\n\
             FAILED  Verify the evidence  another key\u{fffd}[2J\n\
             -       Choose the hub\n\n\
             The device would be refused: 401000 Unauthorized\n\n\
             SAS_WRONG_KEY: Another key.\n  -> Use this one:\n     muster enrollment show"
        );
    }

    #[test]
    fn certificates_and_proposed_enrollments_are_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        assert_eq!(certificate(&file("a.der", &[0x30, 0x82, 0xff])).ok().unwrap(), "MIL/");
        assert_eq!(certificate(&file("a.pem", b"-----BEGIN")).ok().unwrap(), "-----BEGIN");
        let own = proposed(&file("own.json", br#"{"registrationId": "a"}"#)).ok().unwrap();
        assert_eq!(own["individualEnrollment"]["registrationId"], "a");
        let group = proposed(&file("group.json", br#"{"enrollmentGroupId": "g"}"#)).ok().unwrap();
        assert_eq!(group["enrollmentGroup"]["enrollmentGroupId"], "g");
        for bad in [&b"{}"[..], b"[]", b"{"] {
            assert_eq!(proposed(&file("bad.json", bad)).err().unwrap().exit_status(), 2);
        }
        assert_eq!(certificate(&folder.path().join("none")).err().unwrap().exit_status(), 1);
    }
}
