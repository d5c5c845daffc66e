//! docs/reference/errors.md is what the code does. `MUSTER_UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use dps_device_api::reject;
use dps_model::explanation::{self, Explanation};
use dps_model::{Error, ErrorCode, Timestamp, TrackingId};

const HEAD: &str = "\
# Errors

Every failure that a client can meet, and how each protocol tells it. Generated from the catalogue
(`crates/dps-model/src/error_code.rs`, `error_causes.rs`, `explanation.rs`) and its renderings (`crates/dps-device-api/src/reject.rs`) by a test;
`MUSTER_UPDATE_GOLDEN=1 cargo nextest run -p dps-device-api` writes it anew.

The body is the same over every protocol: HTTP's response body, MQTT's payload, AMQP's error description:

```json
{\"errorCode\":401000,\"trackingId\":\"…\",\"message\":\"Unauthorized\",\"timestampUtc\":\"…Z\"}
```

`trackingId` is the `CorrelationId` of the log row. HTTP adds the headers `x-ms-error-code` (the code) and
`x-ms-request-id` (the tracking id); 405 adds `Allow`. A failure during an operation is no error answer: the poll
answers 200 with `status` `failed`, and the row's code and message stand in `registrationState`.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| code | name | HTTP | MQTT topic | MQTT CONNACK | AMQP condition | retry | whose |\n");
    page.push_str("|---|---|---|---|---|---|---|---|\n");
    let (tracking_id, now) = (TrackingId(uuid::Uuid::nil()), Timestamp::from_millis(0));
    for code in ErrorCode::ALL {
        let (row, error) = (code.row(), Error::new(*code));
        let http = reject::http(&error, tracking_id, now);
        let mqtt = reject::mqtt(&error, tracking_id, now);
        let amqp = reject::amqp(&error, tracking_id, now);
        assert_eq!(http.error_code, row.code);
        assert_eq!((&http.body, http.retry_after), (&mqtt.body, mqtt.retry_after));
        assert_eq!((amqp.description.as_bytes(), amqp.retry_after), (&*http.body, http.retry_after));
        let after =
            |name: &str| http.retry_after.map(|seconds| format!("{name}{seconds}")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| {} | {} | {}{} | `res/{}/?$rid=…{}` | {} | `{}` | {} | {:?} |",
            row.code,
            row.name,
            http.status.as_u16(),
            after(", `Retry-After` "),
            mqtt.status,
            after("&retry-after="),
            reject::connack(*code).map_or_else(|| "–".to_owned(), |code| (code as u8).to_string()),
            amqp.condition,
            if row.retryable { "yes" } else { "no" },
            row.fault,
        );
    }
    page.push_str(EXPLAINED);
    for code in ErrorCode::ALL {
        explained(&mut page, &code.explain());
    }
    page.push_str("\n## HTTP statuses\n");
    for status in explanation::statuses() {
        explained(&mut page, &status);
    }
    page.push_str("\n## What clients print\n");
    for message in explanation::client_messages() {
        explained(&mut page, &message);
    }
    page
}

const EXPLAINED: &str = "
## What they mean

A running server says the same under `GET /errors/{code}`, as JSON and for browsers as HTML; `muster explain-code` says
it without a server. Both take a code, a status, a name, or a message as a client printed it.
";

fn explained(page: &mut String, one: &Explanation) {
    let title = [one.code.as_str(), one.name].join(" ");
    let _ = write!(page, "\n### {}\n", title.trim_start());
    if !one.message.is_empty() && one.message != one.name {
        let _ = write!(page, "\n> {}\n", one.message);
    }
    let _ = write!(page, "\n{}\n\nLikely causes:\n\n", one.meaning);
    for cause in one.likely_causes {
        let _ = writeln!(page, "- {cause}");
    }
    let _ = write!(page, "\nWhat to do: {}\n", one.suggested_action);
    if !one.codes.is_empty() {
        let codes: Vec<String> = one.codes.iter().map(u32::to_string).collect();
        let _ = write!(page, "\nCodes: {}.\n", codes.join(", "));
    }
    let _ = write!(page, "\n```kusto\n{}\n```\n", one.query);
}

#[test]
fn errors_page_is_what_the_code_does() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/errors.md");
    let page = page();
    if std::env::var_os("MUSTER_UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == page,
        "docs/reference/errors.md differs: run with MUSTER_UPDATE_GOLDEN=1 and look at the change"
    );
}
