//! The query parameters of lists and summaries of alerts.

use dps_model::limits::{DEFAULT_ALERT_PAGE, MAX_ALERT_FILTER_VALUES, MAX_ALERT_PAGE};
use dps_model::{Error, Timestamp};
use dps_monitor::alerts::alert::{Alert, AlertState, MonitorCondition, Signal};
use dps_monitor::alerts::archive::{AlertFilter, Order, SortBy, TimeSpan};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::insights::metrics::parameter;
use crate::request;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Alerts that may stand before a page.
const MOST_SKIPPED: usize = 1_000_000;
/// What else watches things in Azure, and nothing here.
const OTHER_SERVICES: [&str; 12] = [
    "Application Insights",
    "ActivityLog Administrative",
    "ActivityLog Security",
    "ActivityLog Recommendation",
    "ActivityLog Policy",
    "ActivityLog Autoscale",
    "Nagios",
    "SCOM",
    "ServiceHealth",
    "SmartDetector",
    "VM Insights",
    "Zabbix",
];
const SORTS: [(&str, SortBy); 10] = [
    ("name", SortBy::Name),
    ("severity", SortBy::Severity),
    ("alertState", SortBy::State),
    ("monitorCondition", SortBy::Condition),
    ("targetResource", SortBy::Target),
    ("targetResourceName", SortBy::Target),
    ("targetResourceGroup", SortBy::Target),
    ("targetResourceType", SortBy::Target),
    ("startDateTime", SortBy::Fired),
    ("lastModifiedDateTime", SortBy::Modified),
];

/// What is asked.
pub(super) struct Asked {
    /// None: what is asked for is watched by nothing here.
    pub(super) filter: Option<AlertFilter>,
    pub(super) order: Order,
    pub(super) skip: usize,
    pub(super) limit: usize,
    pub(super) context: bool,
    /// Members of `essentials`; none for all.
    pub(super) selected: Vec<String>,
}

impl Asked {
    pub(super) fn of(head: &Parts, subscription: &str, now: Timestamp) -> Result<Self, Error> {
        let by = choice(head, "sortBy", &SORTS)?.unwrap_or(SortBy::Modified);
        let descending = choice(head, "sortOrder", &[("asc", false), ("desc", true)])?.unwrap_or(true);
        let limit = whole(head, "pageCount", 1..=MAX_ALERT_PAGE)?.unwrap_or(DEFAULT_ALERT_PAGE);
        Ok(Self {
            filter: filter(head, subscription, now)?,
            order: Order { by, descending },
            skip: whole(head, "$skiptoken", 0..=MOST_SKIPPED)?.unwrap_or_default(),
            limit,
            context: choice(head, "includeContext", &[("true", true), ("false", false)])?.unwrap_or(false),
            selected: texts(head, "select")?,
        })
    }

    /// The address of the next page.
    pub(super) fn next(&self, head: &Parts) -> String {
        let pairs = head.uri.query().unwrap_or_default().split('&');
        let is_place = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.eq_ignore_ascii_case("$skiptoken") && !name.eq_ignore_ascii_case("%24skiptoken")
        };
        let kept: Vec<_> = pairs.filter(is_place).collect();
        let place = (self.skip + self.limit).to_string();
        let place = utf8_percent_encode(&place, NON_ALPHANUMERIC);
        format!("https://{}{}?{}&%24skiptoken={place}", request::host(head), head.uri.path(), kept.join("&"))
    }
}

fn filter(head: &Parts, subscription: &str, now: Timestamp) -> Result<Option<AlertFilter>, Error> {
    if parameter(head, "smartGroupId").is_some() {
        return Err(Error::argument("smartGroupId must be left out: this server has no smart groups."));
    }
    let conditions = [MonitorCondition::Fired, MonitorCondition::Resolved].map(|it| (it.name(), it));
    let severities = ["Sev0", "Sev1", "Sev2", "Sev3", "Sev4"].into_iter().zip(0..).collect::<Vec<_>>();
    let signals = [Signal::Metric, Signal::Log].map(|signal| (signal.monitor_service(), Some(signal)));
    let services: Vec<_> = signals.into_iter().chain(OTHER_SERVICES.map(|other| (other, None))).collect();
    let asked = choices(head, "monitorService", &services)?;
    let signals: Vec<_> = asked.iter().copied().flatten().collect();
    if signals.is_empty() && !asked.is_empty() {
        return Ok(None);
    }
    Ok(Some(AlertFilter {
        subscription: Some(subscription.to_owned()),
        targets: texts(head, "targetResource")?,
        target_groups: texts(head, "targetResourceGroup")?,
        target_types: texts(head, "targetResourceType")?,
        signals,
        conditions: choices(head, "monitorCondition", &conditions)?,
        severities: choices(head, "severity", &severities)?,
        states: choices(head, "alertState", &AlertState::ALL.map(|it| (it.name(), it)))?,
        rules: texts(head, "alertRule")?,
        fired: Some(fired(head, now)?),
    }))
}

/// Azure's: the last day, unless something else is asked for.
fn fired(head: &Parts, now: Timestamp) -> Result<TimeSpan, Error> {
    let hours = choice(head, "timeRange", &[("1h", 1), ("1d", 24), ("7d", 168), ("30d", 720)])?;
    let Some(custom) = parameter(head, "customTimeRange") else {
        let from = now.plus_millis(-HOUR * hours.unwrap_or(24));
        return Ok(TimeSpan { from, to: now });
    };
    if hours.is_some() {
        return Err(Error::argument("timeRange and customTimeRange exclude each other."));
    }
    let wrong = || Error::argument("customTimeRange must be start/end in ISO 8601.");
    let (from, to) = custom.split_once('/').ok_or_else(wrong)?;
    let instant = |text: &str| Timestamp::parse(text.trim()).ok_or_else(wrong);
    let (from, to) = (instant(from)?, instant(to)?);
    if from > to { Err(wrong()) } else { Ok(TimeSpan { from, to }) }
}

/// A parameter that is one of a closed list, in any case.
pub(super) fn choice<T: Copy>(head: &Parts, name: &str, known: &[(&str, T)]) -> Result<Option<T>, Error> {
    parameter(head, name).map(|text| one(&text, name, known)).transpose()
}

fn one<T: Copy>(text: &str, name: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let found = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        Error::argument(format!("{name} must be one of {}.", words.join(", ")))
    })
}

fn choices<T: Copy>(head: &Parts, name: &str, known: &[(&str, T)]) -> Result<Vec<T>, Error> {
    texts(head, name)?.iter().map(|text| one(text, name, known)).collect()
}

/// Texts with commas between them.
fn texts(head: &Parts, name: &str) -> Result<Vec<String>, Error> {
    let text = parameter(head, name).unwrap_or_default();
    let found: Vec<_> =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    if found.len() > MAX_ALERT_FILTER_VALUES {
        return Err(Error::argument(format!("{name} has more than {MAX_ALERT_FILTER_VALUES} values.")));
    }
    Ok(found)
}

fn whole(head: &Parts, name: &str, legal: std::ops::RangeInclusive<usize>) -> Result<Option<usize>, Error> {
    let Some(text) = parameter(head, name) else { return Ok(None) };
    text.trim().parse().ok().filter(|number| legal.contains(number)).map(Some).ok_or_else(|| {
        Error::argument(format!("{name} must be a whole number from {} to {}.", legal.start(), legal.end()))
    })
}

/// What alerts are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupBy {
    Severity,
    State,
    Condition,
    Service,
    Signal,
    Rule,
}

impl GroupBy {
    const ALL: [(&'static str, Self); 6] = [
        ("severity", Self::Severity),
        ("alertState", Self::State),
        ("monitorCondition", Self::Condition),
        ("monitorService", Self::Service),
        ("signalType", Self::Signal),
        ("alertRule", Self::Rule),
    ];

    /// `severity,alertState`: by the first, and within it by the next.
    pub(super) fn all(text: &str) -> Result<Vec<Self>, Error> {
        let mut by = Vec::new();
        for word in text.split(',') {
            let one = one(word, "groupby", &Self::ALL)?;
            if by.contains(&one) {
                return Err(Error::argument("groupby names something twice."));
            }
            by.push(one);
        }
        Ok(by)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, by)| *by == self).map_or("", |(name, _)| name)
    }

    pub(super) fn of(self, alert: &Alert) -> String {
        match self {
            Self::Severity => format!("Sev{}", alert.severity),
            Self::State => alert.state.name().to_owned(),
            Self::Condition => alert.condition.name().to_owned(),
            Self::Service => alert.signal.monitor_service().to_owned(),
            Self::Signal => alert.signal.name().to_owned(),
            Self::Rule => alert.rule.clone(),
        }
    }
}
