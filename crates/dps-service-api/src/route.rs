//! The table of contents: which path and method is which action on what, and the right it needs.
//! Must not know bodies or answers.

use dps_access::DataAction;
use dps_model::instance::Right;
use dps_model::{Error, ErrorCode};
use http::Method;
use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noun {
    IndividualEnrollment,
    EnrollmentGroup,
    Registration,
}

impl Noun {
    /// The noun of a path's first segment; paths are compared without regard to case, as Node's client needs it.
    fn of(segment: &str) -> Option<Self> {
        const SEGMENTS: [(&str, Noun); 3] = [
            ("enrollments", Noun::IndividualEnrollment),
            ("enrollmentGroups", Noun::EnrollmentGroup),
            ("registrations", Noun::Registration),
        ];
        SEGMENTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(segment)).map(|(_, noun)| *noun)
    }

    /// `type` in resource logs.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::IndividualEnrollment => "IndividualEnrollment",
            Self::EnrollmentGroup => "EnrollmentGroup",
            Self::Registration => "Registration",
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Upsert,
    Get,
    Delete,
    GetAttestationMechanism,
    Query,
    BulkOperation,
}

impl Action {
    /// `OperationName` in resource logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upsert => "Upsert",
            Self::Get => "Get",
            Self::Delete => "Delete",
            Self::GetAttestationMechanism => "GetAttestationMechanism",
            Self::Query => "Query",
            Self::BulkOperation => "BulkOperation",
        }
    }
}

/// One action on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) noun: Noun,
    pub(crate) action: Action,
    /// Percent-decoded, not yet checked; empty where the path has none.
    pub(crate) id: String,
}

/// A request that no route takes.
#[derive(Debug)]
pub(crate) struct Misrouted {
    pub(crate) error: Error,
    /// The methods that the path has, for `Allow`.
    pub(crate) allow: Option<&'static str>,
}

impl From<Error> for Misrouted {
    fn from(error: Error) -> Self {
        Self { error, allow: None }
    }
}

/// Is this path the service API's? The device API's paths begin with an id scope instead.
pub fn claims(path: &str) -> bool {
    noun(path).is_some()
}

/// What the first segment of a path names.
pub(crate) fn noun(path: &str) -> Option<Noun> {
    path.strip_prefix('/')?.split('/').next().and_then(Noun::of)
}

/// The forms of a path below its noun.
#[derive(Clone, Copy)]
enum Form {
    Collection,
    Query,
    Item,
    ItemOrQuery,
    AttestationMechanism,
    RegistrationItem,
}

impl Route {
    /// The route of a request.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Self, Misrouted> {
        let (noun, form, segment) = form(path).ok_or(Error::new(ErrorCode::RouteNotFound))?;
        let Some(action) = action(form, method) else {
            return Err(Misrouted {
                error: Error::new(ErrorCode::MethodNotAllowed),
                allow: Some(allow(form)),
            });
        };
        let segment = if matches!((form, action), (Form::ItemOrQuery, Action::Query)) { "" } else { segment };
        let id = percent_decode_str(segment).decode_utf8().map_err(|_| {
            Error::argument("The id in the path is not percent-encoded UTF-8.")
                .because("path segment is no UTF-8")
        })?;
        Ok(Self { noun, action, id: id.into_owned() })
    }

    /// What a caller's role must allow. A bulk operation is a write, whatever its mode: that stands in a body which is
    /// read for nobody without a role.
    pub(crate) fn data_action(&self) -> DataAction {
        use Action::{BulkOperation, Delete, Get, GetAttestationMechanism, Query, Upsert};
        match (self.noun, self.action) {
            (Noun::Registration, Get | Query) => DataAction::RegistrationStatesRead,
            (Noun::Registration, _) => DataAction::RegistrationStatesDelete,
            (_, GetAttestationMechanism) => DataAction::AttestationMechanismDetails,
            (Noun::IndividualEnrollment, Get | Query) => DataAction::EnrollmentsRead,
            (Noun::IndividualEnrollment, Upsert | BulkOperation) => DataAction::EnrollmentsWrite,
            (Noun::IndividualEnrollment, Delete) => DataAction::EnrollmentsDelete,
            (Noun::EnrollmentGroup, Get | Query) => DataAction::EnrollmentGroupsRead,
            (Noun::EnrollmentGroup, Upsert | BulkOperation) => DataAction::EnrollmentGroupsWrite,
            (Noun::EnrollmentGroup, Delete) => DataAction::EnrollmentGroupsDelete,
        }
    }

    /// The right that a caller needs. Showing keys takes the right to set them, as Azure's Data Reader role may not
    /// see them either.
    pub(crate) fn needed(&self) -> Right {
        match (self.noun, self.action) {
            (Noun::Registration, Action::Get | Action::Query) => Right::RegistrationStatusRead,
            (Noun::Registration, _) => Right::RegistrationStatusWrite,
            (_, Action::Get | Action::Query) => Right::EnrollmentRead,
            (
                _,
                Action::Upsert | Action::Delete | Action::GetAttestationMechanism | Action::BulkOperation,
            ) => Right::EnrollmentWrite,
        }
    }
}

/// Noun, form and the segment that holds the id.
fn form(path: &str) -> Option<(Noun, Form, &str)> {
    let noun = noun(path)?;
    let mut rest = path.strip_suffix('/').unwrap_or(path).split('/').skip(2);
    let (id, tail, more) = (rest.next(), rest.next(), rest.next());
    if more.is_some() || id == Some("") {
        return None;
    }
    let is = |segment: Option<&str>, name: &str| segment.is_some_and(|text| text.eq_ignore_ascii_case(name));
    let form = match (noun, id, tail) {
        (Noun::Registration, Some(_), None) => Form::RegistrationItem,
        (Noun::Registration, Some(_), tail) if is(tail, "query") => Form::Query,
        (Noun::Registration, ..) => return None,
        (_, None, _) => Form::Collection,
        (_, id, None) if is(id, "query") => Form::ItemOrQuery,
        (_, _, None) => Form::Item,
        (_, _, tail) if is(tail, "attestationmechanism") => Form::AttestationMechanism,
        _ => return None,
    };
    Some((noun, form, id.unwrap_or_default()))
}

fn action(form: Form, method: &Method) -> Option<Action> {
    match (form, method.as_str()) {
        (Form::Collection, "POST") => Some(Action::BulkOperation),
        (Form::Query | Form::ItemOrQuery, "POST") => Some(Action::Query),
        (Form::AttestationMechanism, "POST") => Some(Action::GetAttestationMechanism),
        (Form::Item | Form::ItemOrQuery | Form::RegistrationItem, "GET") => Some(Action::Get),
        (Form::Item | Form::ItemOrQuery | Form::RegistrationItem, "DELETE") => Some(Action::Delete),
        (Form::Item | Form::ItemOrQuery, "PUT") => Some(Action::Upsert),
        _ => None,
    }
}

fn allow(form: Form) -> &'static str {
    match form {
        Form::Collection | Form::Query | Form::AttestationMechanism => "POST",
        Form::Item => "GET, PUT, DELETE",
        Form::ItemOrQuery => "GET, PUT, DELETE, POST",
        Form::RegistrationItem => "GET, DELETE",
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, claims};
    use http::Method;

    fn found(method: &str, path: &str) -> String {
        match Route::find(&Method::from_bytes(method.as_bytes()).unwrap(), path) {
            Ok(route) => format!("{} {} {:?}", route.action.name(), route.noun.kind(), route.id),
            Err(miss) => format!("{} {}", miss.error.code.row().code, miss.allow.unwrap_or("-")),
        }
    }

    #[test]
    fn route_each_path_and_method_found() {
        for (method, path, expected) in [
            ("PUT", "/enrollments/a", "Upsert IndividualEnrollment \"a\""),
            ("GET", "/ENROLLMENTS/a/", "Get IndividualEnrollment \"a\""),
            ("DELETE", "/enrollmentgroups/g%3A1", "Delete EnrollmentGroup \"g:1\""),
            (
                "POST",
                "/enrollmentGroups/g/AttestationMechanism",
                "GetAttestationMechanism EnrollmentGroup \"g\"",
            ),
            ("POST", "/enrollments", "BulkOperation IndividualEnrollment \"\""),
            ("POST", "/enrollments/Query", "Query IndividualEnrollment \"\""),
            ("GET", "/enrollments/query", "Get IndividualEnrollment \"query\""),
            ("POST", "/registrations/g/query", "Query Registration \"g\""),
            ("GET", "/registrations/query", "Get Registration \"query\""),
            ("DELETE", "/registrations/a", "Delete Registration \"a\""),
            ("GET", "/enrollments/a%2Fb", "Get IndividualEnrollment \"a/b\""),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn route_wrong_method_or_path_says_which() {
        for (method, path, expected) in [
            ("PATCH", "/enrollments/a", "405000 GET, PUT, DELETE"),
            ("HEAD", "/registrations/a", "405000 GET, DELETE"),
            ("PUT", "/registrations/a", "405000 GET, DELETE"),
            ("GET", "/enrollments", "405000 POST"),
            ("GET", "/enrollments/a/attestationmechanism", "405000 POST"),
            ("PATCH", "/enrollments/query", "405000 GET, PUT, DELETE, POST"),
            ("GET", "/registrations/a/query", "405000 POST"),
            ("GET", "/registrations", "404000 -"),
            ("GET", "/enrollments//a", "404000 -"),
            ("GET", "/enrollments/a/b", "404000 -"),
            ("GET", "/enrollments/a/attestationmechanism/b", "404000 -"),
            ("GET", "/0ne00ABCDEF/registrations/a", "404000 -"),
            ("GET", "/enrollments/%FF", "400004 -"),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn claims_own_first_segments_alone() {
        for path in ["/enrollments", "/enrollmentgroups/x", "/Registrations/x"] {
            assert!(claims(path), "{path}");
        }
        for path in
            ["", "/", "enrollments", "/enrollment", "/0ne1/registrations/x", "/devices/enrollments", "*"]
        {
            assert!(!claims(path), "{path}");
        }
    }
}
