//! Queries: a page of enrollments, groups or registrations of a group, bounded in rows, bytes and rows looked at.
//! Must not know the query language or the form of a continuation.

use std::ops::ControlFlow;

use dps_core::Enrollments;
use dps_core::enrollment::{Enrolled, Reach};
use dps_model::Error;
use dps_model::enrollment::Keys;
use dps_model::instance::Instance;
use dps_model::limits::{DEFAULT_QUERY_PAGE, MAX_QUERY_PAGE, MAX_QUERY_PAGE_BYTES};
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Answer, CONTINUATION, Page};
use crate::continuation::Bound;
use crate::query::{Query, Rows};
use crate::request::{self, Body};
use dps_model::json;

const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");

/// `QuerySpecification`.
#[derive(Default, Deserialize)]
struct Specification {
    query: Option<String>,
}

impl Rows {
    const fn item_type(self) -> &'static str {
        match self {
            Self::Enrollments => "Enrollment",
            Self::EnrollmentGroups => "EnrollmentGroup",
            Self::Registrations => "DeviceRegistration",
        }
    }
}

/// A page of enrollments of one kind.
pub(crate) async fn enrollments<E: Enrolled>(
    core: &Enrollments,
    instance: &Instance,
    rows: Rows,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let specification: Specification = json::read(&request::json_body(&head.headers, body).await?)?;
    let asked = Asked::read(head, instance, rows, "", &specification)?;
    let mut taken = Taken::new(&asked);
    let next = core.visit::<E>(instance, asked.reach(), |row| taken.take(&row.shown(Keys::Hidden))).await?;
    Ok(taken.answer(next))
}

/// A page of the registrations of a group, whether the group exists or not.
pub(crate) async fn registrations(
    core: &Enrollments,
    instance: &Instance,
    group_id: &str,
    head: &Parts,
    body: &mut Body,
) -> Result<Answer, Error> {
    let specification = match request::optional_json_body(&head.headers, body).await? {
        Some(body) => json::read(&body)?,
        None => Specification::default(),
    };
    let owner = group_id.to_ascii_lowercase();
    let asked = Asked::read(head, instance, Rows::Registrations, &owner, &specification)?;
    let mut taken = Taken::new(&asked);
    let visit = |state| match serde_json::to_value(state) {
        Ok(row) => taken.take(&row),
        Err(_) => ControlFlow::Continue(()),
    };
    let next = core.visit_registrations(instance, group_id, asked.reach(), visit).await?;
    Ok(taken.answer(next))
}

/// What a page is to hold.
struct Asked<'a> {
    rows: Rows,
    bound: Bound<'a>,
    query: Query,
    limit: usize,
    after: Option<String>,
}

impl<'a> Asked<'a> {
    fn read(
        head: &Parts,
        instance: &'a Instance,
        rows: Rows,
        owner: &'a str,
        specification: &'a Specification,
    ) -> Result<Self, Error> {
        let text = specification.query.as_deref().unwrap_or_default();
        let query = Query::parse(text, rows)?;
        let limit = limit(&head.headers)?;
        let bound = Bound { instance: &instance.name, item_type: rows.item_type(), owner, query: text };
        let token = request::header(&head.headers, &CONTINUATION);
        let after = token.filter(|token| !token.is_empty()).map(|token| bound.read(&token)).transpose()?;
        Ok(Self { rows, bound, query, limit, after })
    }

    fn reach(&self) -> Reach {
        Reach { after: self.after.clone(), prefix: self.query.id_prefix() }
    }
}

/// `x-ms-max-item-count`: absent or 0 is the default, more than there may be is as many as there may be.
fn limit(headers: &HeaderMap) -> Result<usize, Error> {
    let Some(text) = request::header(headers, &MAX_ITEM_COUNT) else { return Ok(DEFAULT_QUERY_PAGE) };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::argument(format!(
            "x-ms-max-item-count is no number: send 1 to {MAX_QUERY_PAGE}, or 0 for {DEFAULT_QUERY_PAGE}."
        )));
    }
    // A number of too many digits is larger than any limit.
    Ok(match text.parse().unwrap_or(MAX_QUERY_PAGE) {
        0 => DEFAULT_QUERY_PAGE,
        count => count.min(MAX_QUERY_PAGE),
    })
}

/// The rows of a page as they are found.
struct Taken<'a> {
    asked: &'a Asked<'a>,
    rows: usize,
    /// The array, but for its end.
    body: String,
}

impl<'a> Taken<'a> {
    fn new(asked: &'a Asked<'a>) -> Self {
        Self { asked, rows: 0, body: "[".to_owned() }
    }

    /// Takes the row if the query wants it; breaks off when the page is full.
    fn take(&mut self, row: &Value) -> ControlFlow<()> {
        if !self.asked.query.matches(row) {
            return ControlFlow::Continue(());
        }
        if self.rows > 0 {
            self.body.push(',');
        }
        self.body.push_str(&row.to_string());
        self.rows += 1;
        if self.rows == self.asked.limit || self.body.len() >= MAX_QUERY_PAGE_BYTES {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn answer(mut self, next: Option<String>) -> Answer {
        self.body.push(']');
        Answer::Page(Page {
            body: self.body,
            item_type: self.asked.rows.item_type(),
            continuation: next.map(|after| self.asked.bound.token(&after)),
        })
    }
}
