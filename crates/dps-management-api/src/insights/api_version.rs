//! The `api-version`s of `Microsoft.Insights` that clients send, by subject. They differ in nothing that is served here.

use dps_model::{Error, ErrorCode};
use http::request::Parts;

use super::Action;
use crate::api_version::ApiVersion;
use crate::request;

/// Of the activity log, oldest first.
const ACTIVITY_LOG: &[&str] = &["2014-04-01", "2015-04-01", "2017-03-01-preview"];
/// Of diagnostic settings, oldest first; the versions of provisioning services are taken as well.
const DIAGNOSTIC_SETTINGS: &[&str] =
    &["2015-07-01", "2016-09-01", "2017-05-01-preview", "2021-05-01-preview"];
/// Of metrics, oldest first.
const METRICS: &[&str] = &[
    "2016-03-01",
    "2016-09-01",
    "2017-05-01-preview",
    "2017-12-01-preview",
    "2018-01-01",
    "2018-09-01-preview",
    "2019-07-01",
    "2021-05-01",
    "2021-06-01-preview",
    "2022-04-01-preview",
    "2023-05-01-preview",
    "2023-10-01",
    "2024-02-01",
    "2024-03-01-preview",
];

/// Refuses a call without a known version.
pub(super) fn check(head: &Parts, action: Action) -> Result<(), Error> {
    let known = match action {
        Action::ActivityLog => ACTIVITY_LOG,
        Action::DiagnosticSettings(_) => DIAGNOSTIC_SETTINGS,
        Action::Metrics(_) => METRICS,
    };
    let unknown = |message: String| Error::with(ErrorCode::ApiVersionUnknown, message);
    let text = request::parameter(head, "api-version");
    let text = text.ok_or_else(|| unknown("The api-version query parameter is required.".into()))?;
    let of_service = matches!(action, Action::DiagnosticSettings(_)) && ApiVersion::parse(&text).is_some();
    if of_service || known.iter().any(|known| known.eq_ignore_ascii_case(&text)) {
        return Ok(());
    }
    Err(unknown(format!("The api-version is none of this resource type's: {}.", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::{ACTIVITY_LOG, DIAGNOSTIC_SETTINGS, METRICS};

    #[test]
    fn versions_are_sorted_and_each_once() {
        for known in [ACTIVITY_LOG, DIAGNOSTIC_SETTINGS, METRICS] {
            assert!(known.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
