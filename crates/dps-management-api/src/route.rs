//! The table of contents: which path and method is which operation on what. Must not know bodies or answers.

use dps_model::{Error, ErrorCode};
use dps_monitor::alerts::document::Kind;
use http::Method;
use percent_encoding::percent_decode_str;

use crate::diagnosis;
use crate::insights;
use crate::insights::alerts::Action as Alerts;
use crate::insights::diagnostic_settings::Action as DiagnosticSettings;
use crate::insights::metrics::Action as Metrics;
use crate::insights::rules::Action as Rules;
use crate::resource_id::Parts;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Operations,
    CheckName,
    ListBySubscription,
    ListByGroup,
    Put,
    Get,
    Patch,
    Delete,
    Skus,
    ListKeys,
    KeysOf,
    OperationResult,
    Certificates,
    GetCertificate,
    PutCertificate,
    DeleteCertificate,
    GenerateVerificationCode,
    VerifyCertificate,
    PrivateLinkResources,
    PrivateLinkResource,
    PrivateEndpointConnections,
    PrivateEndpointConnection,
    PutPrivateEndpointConnection,
    DeletePrivateEndpointConnection,
    Insights(insights::Action),
    Diagnosis(diagnosis::Action),
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// Method.
    pub method: &'static str,
    /// Path; `{name}` stands for one segment.
    pub path: &'static str,
    /// ARM's name of the operation: what a role allows, and what logs show.
    pub operation: &'static str,
    pub(crate) action: Action,
}

const fn metrics(method: &'static str, path: &'static str, operation: &'static str, action: Metrics) -> Row {
    row(method, path, operation, Action::Insights(insights::Action::Metrics(action)))
}

const fn settings(
    method: &'static str,
    path: &'static str,
    operation: &'static str,
    action: DiagnosticSettings,
) -> Row {
    row(method, path, operation, Action::Insights(insights::Action::DiagnosticSettings(action)))
}

const fn rules(method: &'static str, path: &'static str, operation: &'static str, action: Rules) -> Row {
    row(method, path, operation, Action::Insights(insights::Action::Rules(action)))
}

const fn alerts(method: &'static str, path: &'static str, operation: &'static str, action: Alerts) -> Row {
    row(method, path, operation, Action::Insights(insights::Action::Alerts(action)))
}

const fn diagnosis(
    method: &'static str,
    path: &'static str,
    operation: &'static str,
    action: diagnosis::Action,
) -> Row {
    row(method, path, operation, Action::Diagnosis(action))
}

const fn row(method: &'static str, path: &'static str, operation: &'static str, action: Action) -> Row {
    Row { method, path, operation, action }
}

macro_rules! path {
    (insights $rest:literal) => {
        concat!("/subscriptions/{subscription}/providers/Microsoft.Insights/", $rest)
    };
    (group insights $rest:literal) => {
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Insights/",
            $rest
        )
    };
    (alerts $rest:literal) => {
        concat!("/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/", $rest)
    };
    (subscription $rest:literal) => {
        concat!("/subscriptions/{subscription}", $rest)
    };
    (provider $rest:literal) => {
        concat!("/subscriptions/{subscription}/providers/Microsoft.Devices/", $rest)
    };
    (group $rest:literal) => {
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Devices/",
            $rest
        )
    };
    (diagnosis $rest:literal) => {
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Devices/",
            "provisioningServices/{name}/providers/Muster.Diagnosis/",
            $rest
        )
    };
    (service $rest:literal) => {
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.Devices/",
            "provisioningServices/{name}",
            $rest
        )
    };
}

macro_rules! operation {
    ($rest:literal) => {
        concat!("Microsoft.Devices/provisioningServices", $rest)
    };
}

/// Every route.
#[rustfmt::skip]
pub static ROUTES: &[Row] = &[
    row("GET", "/providers/Microsoft.Devices/operations", "Microsoft.Devices/operations/read", Action::Operations),
    row("POST", path!(provider "checkProvisioningServiceNameAvailability"),
        "Microsoft.Devices/checkProvisioningServiceNameAvailability/action", Action::CheckName),
    row("GET", path!(provider "provisioningServices"), operation!("/read"), Action::ListBySubscription),
    row("GET", path!(provider "locations/{location}/provisioningServiceOperationResults/{operation}"),
        operation!("/operationResults/read"), Action::OperationResult),
    row("GET", path!(group "provisioningServices"), operation!("/read"), Action::ListByGroup),
    row("PUT", path!(service ""), operation!("/write"), Action::Put),
    row("GET", path!(service ""), operation!("/read"), Action::Get),
    row("PATCH", path!(service ""), operation!("/write"), Action::Patch),
    row("DELETE", path!(service ""), operation!("/delete"), Action::Delete),
    row("GET", path!(service "/skus"), operation!("/skus/read"), Action::Skus),
    row("POST", path!(service "/listkeys"), operation!("/listkeys/action"), Action::ListKeys),
    row("POST", path!(service "/keys/{key}/listkeys"), operation!("/keys/listkeys/action"), Action::KeysOf),
    row("GET", path!(service "/operationresults/{operation}"), operation!("/operationResults/read"),
        Action::OperationResult),
    row("GET", path!(service "/certificates"), operation!("/certificates/read"), Action::Certificates),
    row("GET", path!(service "/certificates/{certificate}"), operation!("/certificates/read"),
        Action::GetCertificate),
    row("PUT", path!(service "/certificates/{certificate}"), operation!("/certificates/write"),
        Action::PutCertificate),
    row("DELETE", path!(service "/certificates/{certificate}"), operation!("/certificates/delete"),
        Action::DeleteCertificate),
    row("POST", path!(service "/certificates/{certificate}/generateVerificationCode"),
        operation!("/certificates/generateVerificationCode/action"), Action::GenerateVerificationCode),
    row("POST", path!(service "/certificates/{certificate}/verify"),
        operation!("/certificates/verify/action"), Action::VerifyCertificate),
    row("GET", path!(service "/privateLinkResources"), operation!("/privateLinkResources/read"),
        Action::PrivateLinkResources),
    row("GET", path!(service "/privateLinkResources/{group}"), operation!("/privateLinkResources/read"),
        Action::PrivateLinkResource),
    row("GET", path!(service "/privateEndpointConnections"), operation!("/privateEndpointConnections/read"),
        Action::PrivateEndpointConnections),
    row("GET", path!(service "/privateEndpointConnections/{connection}"),
        operation!("/privateEndpointConnections/read"), Action::PrivateEndpointConnection),
    row("PUT", path!(service "/privateEndpointConnections/{connection}"),
        operation!("/privateEndpointConnections/write"), Action::PutPrivateEndpointConnection),
    row("DELETE", path!(service "/privateEndpointConnections/{connection}"),
        operation!("/privateEndpointConnections/delete"), Action::DeletePrivateEndpointConnection),
    metrics("GET", path!(service "/providers/Microsoft.Insights/metricDefinitions"),
        "Microsoft.Insights/metricDefinitions/read", Metrics::Definitions),
    metrics("GET", path!(service "/providers/Microsoft.Insights/metricNamespaces"),
        "Microsoft.Insights/metricNamespaces/read", Metrics::Namespaces),
    metrics("GET", path!(service "/providers/Microsoft.Insights/metrics"), "Microsoft.Insights/metrics/read",
        Metrics::Get),
    metrics("GET", path!(subscription "/providers/Microsoft.Insights/metricDefinitions"),
        "Microsoft.Insights/metricDefinitions/read", Metrics::SubscriptionDefinitions),
    metrics("GET", path!(subscription "/providers/Microsoft.Insights/metrics"), "Microsoft.Insights/metrics/read",
        Metrics::GetOfSubscription),
    metrics("POST", path!(subscription "/providers/Microsoft.Insights/metrics"), "Microsoft.Insights/metrics/read",
        Metrics::PostToSubscription),
    metrics("POST", path!(subscription "/metrics:getBatch"), "Microsoft.Insights/metrics/read", Metrics::Batch),
    row("GET", path!(subscription "/providers/Microsoft.Insights/eventtypes/management/values"),
        "Microsoft.Insights/eventtypes/values/read", Action::Insights(insights::Action::ActivityLog)),
    settings("GET", path!(service "/providers/Microsoft.Insights/diagnosticSettings"),
        "Microsoft.Insights/diagnosticSettings/read", DiagnosticSettings::List),
    settings("GET", path!(service "/providers/Microsoft.Insights/diagnosticSettings/{setting}"),
        "Microsoft.Insights/diagnosticSettings/read", DiagnosticSettings::Get),
    settings("PUT", path!(service "/providers/Microsoft.Insights/diagnosticSettings/{setting}"),
        "Microsoft.Insights/diagnosticSettings/write", DiagnosticSettings::Put),
    settings("DELETE", path!(service "/providers/Microsoft.Insights/diagnosticSettings/{setting}"),
        "Microsoft.Insights/diagnosticSettings/delete", DiagnosticSettings::Delete),
    settings("GET", path!(service "/providers/Microsoft.Insights/diagnosticSettingsCategories"),
        "Microsoft.Insights/diagnosticSettingsCategories/read", DiagnosticSettings::Categories),
    settings("GET", path!(service "/providers/Microsoft.Insights/diagnosticSettingsCategories/{category}"),
        "Microsoft.Insights/diagnosticSettingsCategories/read", DiagnosticSettings::Category),
    rules("GET", path!(insights "metricAlerts"), "Microsoft.Insights/metricAlerts/read", Rules::List(Kind::MetricAlert)),
    rules("GET", path!(group insights "metricAlerts"), "Microsoft.Insights/metricAlerts/read", Rules::List(Kind::MetricAlert)),
    rules("GET", path!(group insights "metricAlerts/{metricAlert}"), "Microsoft.Insights/metricAlerts/read", Rules::Get(Kind::MetricAlert)),
    rules("PUT", path!(group insights "metricAlerts/{metricAlert}"), "Microsoft.Insights/metricAlerts/write", Rules::Put(Kind::MetricAlert)),
    rules("PATCH", path!(group insights "metricAlerts/{metricAlert}"), "Microsoft.Insights/metricAlerts/write", Rules::Patch(Kind::MetricAlert)),
    rules("DELETE", path!(group insights "metricAlerts/{metricAlert}"), "Microsoft.Insights/metricAlerts/delete", Rules::Delete(Kind::MetricAlert)),
    rules("GET", path!(group insights "metricAlerts/{metricAlert}/status"), "Microsoft.Insights/metricAlerts/status/read", Rules::Status),
    rules("GET", path!(group insights "metricAlerts/{metricAlert}/status/{status}"), "Microsoft.Insights/metricAlerts/status/read", Rules::Status),
    rules("GET", path!(insights "scheduledQueryRules"), "Microsoft.Insights/scheduledQueryRules/read", Rules::List(Kind::QueryRule)),
    rules("GET", path!(group insights "scheduledQueryRules"), "Microsoft.Insights/scheduledQueryRules/read", Rules::List(Kind::QueryRule)),
    rules("GET", path!(group insights "scheduledQueryRules/{queryRule}"), "Microsoft.Insights/scheduledQueryRules/read", Rules::Get(Kind::QueryRule)),
    rules("PUT", path!(group insights "scheduledQueryRules/{queryRule}"), "Microsoft.Insights/scheduledQueryRules/write", Rules::Put(Kind::QueryRule)),
    rules("PATCH", path!(group insights "scheduledQueryRules/{queryRule}"), "Microsoft.Insights/scheduledQueryRules/write", Rules::Patch(Kind::QueryRule)),
    rules("DELETE", path!(group insights "scheduledQueryRules/{queryRule}"), "Microsoft.Insights/scheduledQueryRules/delete", Rules::Delete(Kind::QueryRule)),
    rules("GET", path!(insights "actionGroups"), "Microsoft.Insights/actionGroups/read", Rules::List(Kind::ActionGroup)),
    rules("GET", path!(group insights "actionGroups"), "Microsoft.Insights/actionGroups/read", Rules::List(Kind::ActionGroup)),
    rules("GET", path!(group insights "actionGroups/{actionGroup}"), "Microsoft.Insights/actionGroups/read", Rules::Get(Kind::ActionGroup)),
    rules("PUT", path!(group insights "actionGroups/{actionGroup}"), "Microsoft.Insights/actionGroups/write", Rules::Put(Kind::ActionGroup)),
    rules("PATCH", path!(group insights "actionGroups/{actionGroup}"), "Microsoft.Insights/actionGroups/write", Rules::Patch(Kind::ActionGroup)),
    rules("DELETE", path!(group insights "actionGroups/{actionGroup}"), "Microsoft.Insights/actionGroups/delete", Rules::Delete(Kind::ActionGroup)),
    rules("POST", path!(group insights "actionGroups/{actionGroup}/createNotifications"),
        "Microsoft.Insights/actionGroups/createNotifications/action", Rules::Sample),
    rules("GET", path!(group insights "actionGroups/{actionGroup}/notificationStatus/{notification}"),
        "Microsoft.Insights/actionGroups/notificationStatus/read", Rules::SampleOutcome),
    alerts("GET", path!(alerts "alerts"), "Microsoft.AlertsManagement/alerts/read", Alerts::List),
    alerts("GET", path!(alerts "alerts/{alert}"), "Microsoft.AlertsManagement/alerts/read", Alerts::Get),
    alerts("POST", path!(alerts "alerts/{alert}/changestate"), "Microsoft.AlertsManagement/alerts/changestate/action",
        Alerts::ChangeState),
    alerts("GET", path!(alerts "alerts/{alert}/history"), "Microsoft.AlertsManagement/alerts/history/read", Alerts::History),
    alerts("GET", path!(alerts "alertsSummary"), "Microsoft.AlertsManagement/alertsSummary/read", Alerts::Summary),
    diagnosis("GET", path!(diagnosis "attempts"), "Muster.Diagnosis/attempts/read", diagnosis::Action::Attempts),
    diagnosis("GET", path!(diagnosis "devices/{registrationId}/timeline"), "Muster.Diagnosis/devices/timeline/read",
        diagnosis::Action::Timeline),
    diagnosis("GET", path!(diagnosis "devices/{registrationId}/drift"), "Muster.Diagnosis/devices/drift/read",
        diagnosis::Action::Drift),
    diagnosis("POST", path!(diagnosis "hubEvents"), "Muster.Diagnosis/hubEvents/write", diagnosis::Action::HubEvents),
    diagnosis("GET", path!(diagnosis "devices/{registrationId}/shown"), "Muster.Diagnosis/devices/shown/read",
        diagnosis::Action::Shown),
    diagnosis("GET", path!(diagnosis "causes"), "Muster.Diagnosis/causes/read", diagnosis::Action::Causes),
    diagnosis("GET", path!(diagnosis "causes/{cause}"), "Muster.Diagnosis/causes/read", diagnosis::Action::Cause),
    diagnosis("GET", path!(diagnosis "inbox"), "Muster.Diagnosis/inbox/read", diagnosis::Action::Inbox),
    diagnosis("GET", path!(diagnosis "inbox/{unknown}"), "Muster.Diagnosis/inbox/read", diagnosis::Action::Unknown),
    diagnosis("DELETE", path!(diagnosis "inbox/{unknown}"), "Muster.Diagnosis/inbox/delete",
        diagnosis::Action::DeleteUnknown),
    diagnosis("POST", path!(diagnosis "inbox/{unknown}/accept"), "Muster.Diagnosis/inbox/accept/action",
        diagnosis::Action::AcceptUnknown),
    diagnosis("POST", path!(diagnosis "inbox/{unknown}/ignore"), "Muster.Diagnosis/inbox/ignore/action",
        diagnosis::Action::IgnoreUnknown),
    diagnosis("POST", path!(diagnosis "rehearsals"), "Muster.Diagnosis/rehearsals/action", diagnosis::Action::Rehearse),
];

/// The segments that stand for `{…}`, percent-decoded, not yet checked; empty where the path has none.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) subscription: String,
    pub(crate) resource_group: String,
    /// Of the provisioning service.
    pub(crate) name: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) operation: String,
    /// Of a diagnostic setting.
    pub(crate) setting: String,
    /// Of logs or metrics.
    pub(crate) category: String,
    /// Of a device.
    pub(crate) registration_id: String,
    /// Of a rule, an action group or an alert.
    pub(crate) item: String,
    /// Its ARM type.
    item_type: &'static str,
    pub(crate) other: String,
}

impl Names {
    fn place(&mut self, placeholder: &str) -> &mut String {
        match placeholder {
            "{subscription}" => &mut self.subscription,
            "{resourceGroup}" => &mut self.resource_group,
            "{name}" => &mut self.name,
            "{certificate}" => &mut self.certificate,
            "{key}" => &mut self.key,
            "{operation}" => &mut self.operation,
            "{setting}" => &mut self.setting,
            "{category}" => &mut self.category,
            "{registrationId}" => &mut self.registration_id,
            "{metricAlert}" => self.item(Kind::MetricAlert.resource_type()),
            "{queryRule}" => self.item(Kind::QueryRule.resource_type()),
            "{actionGroup}" => self.item(Kind::ActionGroup.resource_type()),
            "{alert}" => self.item("Microsoft.AlertsManagement/alerts"),
            "{cause}" => self.item("Muster.Diagnosis/causes"),
            "{unknown}" => self.item("Muster.Diagnosis/inbox"),
            _ => &mut self.other,
        }
    }

    fn item(&mut self, kind: &'static str) -> &mut String {
        self.item_type = kind;
        &mut self.item
    }

    /// The resource that the path names, as far as it names one.
    pub(crate) fn resource_id(&self) -> String {
        let Self { item, item_type, .. } = self;
        let place = self.place_id();
        if item.is_empty() { place } else { format!("{place}/providers/{item_type}/{item}") }
    }

    fn place_id(&self) -> String {
        let Self { subscription, resource_group, name, .. } = self;
        match (subscription.is_empty(), resource_group.is_empty(), name.is_empty()) {
            (true, ..) => "/".to_owned(),
            (_, true, _) => format!("/subscriptions/{subscription}"),
            (_, _, true) => format!("/subscriptions/{subscription}/resourceGroups/{resource_group}"),
            _ => self.service().id(),
        }
    }

    pub(crate) fn service(&self) -> Parts<'_> {
        Parts { subscription: &self.subscription, resource_group: &self.resource_group, name: &self.name }
    }
}

/// A request's route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) row: &'static Row,
    pub(crate) names: Names,
}

/// A request that no route takes.
#[derive(Debug)]
pub(crate) struct Misrouted {
    pub(crate) error: Error,
    /// The methods that the path has, for `Allow`.
    pub(crate) allow: Option<String>,
}

impl From<Error> for Misrouted {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}

/// Is this path the management API's? The device API's paths begin with an id scope instead.
pub fn claims(path: &str) -> bool {
    let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
    first.eq_ignore_ascii_case("subscriptions") || first.eq_ignore_ascii_case("providers")
}

impl Route {
    /// The route of a request; paths are compared without regard to case, as ARM does.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Self, Misrouted> {
        let mut methods = Vec::new();
        for row in ROUTES {
            let Some(raw) = matched(row.path, path) else { continue };
            if row.method != method.as_str() {
                methods.push(row.method);
                continue;
            }
            let mut names = Names::default();
            for (placeholder, segment) in raw {
                *names.place(placeholder) = decoded(segment)?;
            }
            return Ok(Self { row, names });
        }
        if methods.is_empty() {
            return Err(Error::new(ErrorCode::RouteNotFound).into());
        }
        Err(Misrouted { error: Error::new(ErrorCode::MethodNotAllowed), allow: Some(methods.join(", ")) })
    }
}

/// Placeholders and what stands in their place, when the path has the row's form.
fn matched<'a>(form: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut given = path.strip_suffix('/').unwrap_or(path).split('/');
    let mut found = Vec::new();
    for wanted in form.split('/') {
        let segment = given.next()?;
        if wanted.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            found.push((wanted, segment));
        } else if !wanted.eq_ignore_ascii_case(segment) {
            return None;
        }
    }
    given.next().is_none().then_some(found)
}

fn decoded(segment: &str) -> Result<String, Error> {
    let text = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Error::argument("The path is not percent-encoded UTF-8."))?;
    if text.contains('/') || text.chars().any(char::is_control) {
        return Err(Error::argument("A name in the path holds a slash or a control character."));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{ROUTES, Route, claims};

    fn found(method: &str, path: &str) -> String {
        match Route::find(&Method::from_bytes(method.as_bytes()).unwrap(), path) {
            Ok(route) => format!("{:?} {}", route.row.action, route.names.resource_id()),
            Err(miss) => format!("{} {}", miss.error.code.row().code, miss.allow.unwrap_or_default()),
        }
    }

    const SERVICE: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";

    #[test]
    fn route_found_in_any_case_with_what_it_names() {
        for (method, path, expected) in [
            ("GET", "/providers/Microsoft.Devices/operations".to_owned(), "Operations /".to_owned()),
            ("PUT", SERVICE.to_lowercase(), format!("Put {SERVICE}")),
            ("GET", format!("{SERVICE}/"), format!("Get {SERVICE}")),
            ("POST", format!("{SERVICE}/LISTKEYS"), format!("ListKeys {SERVICE}")),
            ("POST", format!("{SERVICE}/keys/a%20b/listkeys"), format!("KeysOf {SERVICE}")),
            ("PATCH", format!("{SERVICE}/skus"), "405000 GET".into()),
            ("POST", SERVICE.into(), "405000 PUT, GET, PATCH, DELETE".into()),
            ("GET", format!("{SERVICE}/certificates/a%2Fb"), "400004 ".into()),
            ("GET", format!("{SERVICE}//skus"), "404000 ".into()),
            ("GET", format!("{SERVICE}/certificates/"), format!("Certificates {SERVICE}")),
            ("GET", "/subscriptions/s".into(), "404000 ".into()),
        ] {
            assert_eq!(found(method, &path), expected, "{method} {path}");
        }
    }

    #[test]
    fn routes_are_each_reachable_and_claimed() {
        for row in ROUTES {
            let path = row.path.replace(['{', '}'], "");
            let method = Method::from_bytes(row.method.as_bytes()).unwrap();
            let found = Route::find(&method, &path).unwrap();
            assert_eq!((found.row.method, found.row.path), (row.method, row.path));
            assert!(claims(&path));
        }
        assert!(!claims("/0ne00000000/registrations/a/register") && !claims("/enrollments/a") && !claims(""));
    }
}
