//! Paths of the query API: a workspace's or a resource's, and what is asked of it.

use percent_encoding::percent_decode_str;

use super::failure::Failure;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Runs a query.
    Query,
    /// Runs several.
    Batch,
    /// Names tables and columns.
    Metadata,
}

impl What {
    /// Azure's name of the action that a role must allow.
    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::Query | Self::Batch => "Microsoft.OperationalInsights/workspaces/query/read",
            Self::Metadata => "Microsoft.OperationalInsights/workspaces/metadata/read",
        }
    }

    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Query | Self::Metadata => "GET, POST",
            Self::Batch => "POST",
        }
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) what: What,
    /// The workspace, as the path names it.
    pub(super) workspace: Option<String>,
    /// The resource (or what it lies in), as an ARM id.
    pub(super) resource: Option<String>,
}

/// The form that ARM has for queries of a resource.
const ARM_TAIL: [&str; 3] = ["providers", "microsoft.insights", "logs"];

/// Is this path the query API's?
pub fn claims(path: &str) -> bool {
    let parts = segments(path);
    parts.first().is_some_and(|first| first.eq_ignore_ascii_case("v1")) || arm_resource(&parts).is_some()
}

fn segments(path: &str) -> Vec<&str> {
    path.strip_prefix('/').unwrap_or(path).trim_end_matches('/').split('/').collect()
}

/// The resource of `{resource}/providers/microsoft.insights/logs`.
fn arm_resource<'a, 'b>(parts: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let (resource, tail) = parts.split_at_checked(parts.len().checked_sub(ARM_TAIL.len())?)?;
    let is_tail = tail.iter().zip(ARM_TAIL).all(|(one, other)| one.eq_ignore_ascii_case(other));
    (is_tail && is_resource(resource)).then_some(resource)
}

fn is_resource(parts: &[&str]) -> bool {
    parts.len() >= 2 && parts.first().is_some_and(|first| first.eq_ignore_ascii_case("subscriptions"))
}

impl Place {
    pub(super) fn of(path: &str) -> Result<Self, Failure> {
        let parts = segments(path);
        if let Some(resource) = arm_resource(&parts) {
            return Self::resource(What::Query, resource);
        }
        let of_workspace = |what, id: &str| Ok(Self { what, workspace: Some(decoded(id)?), resource: None });
        let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
        match parts.get(1..).unwrap_or_default() {
            [batch] if is(batch, "$batch") => Ok(Self { what: What::Batch, workspace: None, resource: None }),
            [kind, id, what] if is(kind, "workspaces") && !id.is_empty() => match word(what) {
                Some(what) => of_workspace(what, id),
                None => Err(Failure::path_not_found()),
            },
            [resource @ .., what] if is_resource(resource) => match word(what) {
                Some(what) => Self::resource(what, resource),
                None => Err(Failure::path_not_found()),
            },
            _ => Err(Failure::path_not_found()),
        }
    }

    fn resource(what: What, parts: &[&str]) -> Result<Self, Failure> {
        let mut id = String::new();
        for part in parts {
            id.push('/');
            id.push_str(&decoded(part)?);
        }
        Ok(Self { what, workspace: None, resource: Some(id) })
    }
}

fn word(text: &str) -> Option<What> {
    [("query", What::Query), ("metadata", What::Metadata)]
        .into_iter()
        .find_map(|(word, what)| text.eq_ignore_ascii_case(word).then_some(what))
}

fn decoded(segment: &str) -> Result<String, Failure> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| Failure::path_not_found())?;
    if text.is_empty() || text.contains('/') || text.chars().any(char::is_control) {
        return Err(Failure::path_not_found());
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Place, What, claims};

    #[test]
    fn place_is_read_from_each_form_of_path() {
        let of = |path: &str| Place::of(path).ok().map(|place| (place.what, place.workspace, place.resource));
        let workspace = |what, id: &str| Some((what, Some(id.to_owned()), None));
        let resource = |id: &str| Some((What::Query, None, Some(id.to_owned())));
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dps";
        for (path, wanted) in [
            ("/v1/workspaces/w/query".to_owned(), workspace(What::Query, "w")),
            ("/V1/Workspaces/a%20b/Metadata/".to_owned(), workspace(What::Metadata, "a b")),
            ("/v1/$batch".to_owned(), Some((What::Batch, None, None))),
            (format!("/v1{id}/query"), resource(id)),
            (format!("{id}/providers/Microsoft.Insights/logs"), resource(id)),
            ("/v1/subscriptions/s/query".to_owned(), resource("/subscriptions/s")),
            ("/v1/workspaces//query".to_owned(), None),
            ("/v1/workspaces/w/render".to_owned(), None),
            ("/v1/workspaces/a%2Fb/query".to_owned(), None),
            ("/v1".to_owned(), None),
            ("/v1/subscriptions/query".to_owned(), None),
        ] {
            assert_eq!(of(&path), wanted, "{path}");
            assert!(claims(&path), "{path}");
        }
        assert!(
            !claims(id)
                && !claims("/0ne/registrations/v1/register")
                && !claims("/providers/microsoft.insights/logs")
        );
    }
}
