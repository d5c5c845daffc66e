//! docs/reference/errors.md is what the code does. `MUSTER_UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use dps_device_api::reject;
use dps_model::{Error, ErrorCode, Timestamp, TrackingId};

const HEAD: &str = "\
# Errors

Every failure that a client can meet, and how each protocol tells it. Generated from the catalogue
(`crates/dps-model/src/error_code.rs`) and its renderings (`crates/dps-device-api/src/reject.rs`) by a test;
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
    page.push_str("\n## What they mean\n");
    for code in ErrorCode::ALL {
        let row = code.row();
        let _ = write!(
            page,
            "\n### {} {}\n\n> {}\n\n{}\n\n{}\n",
            row.code, row.name, row.message, row.meaning, row.action
        );
    }
    page
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
