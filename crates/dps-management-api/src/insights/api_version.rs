//! The `api-version`s of `Microsoft.Insights` that clients send, by subject. They differ in nothing that is served here.

use dps_model::{Error, ErrorCode};
use dps_monitor::alerts::document::Kind;
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

/// Of metric alert rules, oldest first.
const METRIC_ALERTS: &[&str] = &["2018-03-01", "2024-03-01-preview"];
/// Of log alert rules, oldest first. The one before has another form of rule, which Azure retired (D-608).
const QUERY_RULES: &[&str] = &[
    "2020-05-01-preview",
    "2021-02-01-preview",
    "2021-08-01",
    "2022-06-15",
    "2022-08-01-preview",
    "2023-03-15-preview",
    "2023-12-01",
    "2024-01-01-preview",
];
/// Of action groups, oldest first.
const ACTION_GROUPS: &[&str] = &[
    "2017-04-01",
    "2018-03-01",
    "2018-09-01",
    "2019-03-01",
    "2019-06-01",
    "2021-09-01",
    "2022-04-01",
    "2022-06-01",
    "2023-01-01",
    "2023-09-01-preview",
    "2024-10-01-preview",
];
/// Of alerts, oldest first.
const ALERTS: &[&str] = &[
    "2018-05-05",
    "2018-05-05-preview",
    "2018-11-02-privatepreview",
    "2019-03-01",
    "2019-03-01-preview",
    "2019-05-05-preview",
    "2023-01-01-preview",
    "2023-07-12-preview",
    "2024-01-01-preview",
];

/// Refuses a call without a known version.
pub(super) fn check(head: &Parts, action: Action) -> Result<(), Error> {
    let known = match action {
        Action::ActivityLog => ACTIVITY_LOG,
        Action::DiagnosticSettings(_) => DIAGNOSTIC_SETTINGS,
        Action::Metrics(_) => METRICS,
        Action::Rules(action) => match action.kind() {
            Kind::MetricAlert => METRIC_ALERTS,
            Kind::QueryRule => QUERY_RULES,
            Kind::ActionGroup => ACTION_GROUPS,
        },
        Action::Alerts(_) => ALERTS,
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
    use super::{
        ACTION_GROUPS, ACTIVITY_LOG, ALERTS, DIAGNOSTIC_SETTINGS, METRIC_ALERTS, METRICS, QUERY_RULES,
    };

    #[test]
    fn versions_are_sorted_and_each_once() {
        for known in
            [ACTIVITY_LOG, DIAGNOSTIC_SETTINGS, METRICS, METRIC_ALERTS, QUERY_RULES, ACTION_GROUPS, ALERTS]
        {
            assert!(known.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
