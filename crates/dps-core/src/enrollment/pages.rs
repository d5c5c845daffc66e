//! Reads enrollments and registrations one after the other, in the order of their ids, so much at a time that memory
//! and one request's work are bounded. Must not know what is looked for.

use std::ops::ControlFlow;

use dps_model::instance::Instance;
use dps_model::limits::{MAX_QUERY_SCAN, QUERY_ROWS_AT_ONCE};
use dps_model::registration::DeviceRegistrationResult;
use dps_model::{EnrollmentGroupId, Error};

use super::Enrollments;
use super::edit::registration_state;
use super::kind::Enrolled;
use crate::ports::{Collection, Document, Page};

/// Which documents are shown.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Those behind this id.
    pub after: Option<String>,
    /// Those whose ids, in lower case, begin so. They stand together, and no other is read.
    pub prefix: String,
}

/// Whose documents are read.
#[derive(Clone, Copy)]
struct Shelf<'a> {
    collection: Collection,
    instance: &'a str,
    owner: Option<&'a str>,
    prefix: &'a str,
}

impl Enrollments {
    /// Shows enrollments to `visit`, until it breaks off or `MAX_QUERY_SCAN` have been shown. Answers the id to go on
    /// behind, if there are more.
    pub async fn visit<E: Enrolled>(
        &self,
        instance: &Instance,
        reach: Reach,
        mut visit: impl FnMut(E) -> ControlFlow<()> + Send,
    ) -> Result<Option<String>, Error> {
        let Reach { after, prefix } = reach;
        let shelf =
            Shelf { collection: E::COLLECTION, instance: instance.rows(), owner: None, prefix: &prefix };
        self.scan(shelf, after, |document| Ok(visit(E::read(document)?))).await
    }

    /// The same of the registrations that a group let in, be the group still there or not.
    pub async fn visit_registrations(
        &self,
        instance: &Instance,
        group_id: &str,
        reach: Reach,
        mut visit: impl FnMut(DeviceRegistrationResult) -> ControlFlow<()> + Send,
    ) -> Result<Option<String>, Error> {
        let owner = EnrollmentGroupId::parse(group_id)?.key();
        let Reach { after, prefix } = reach;
        let shelf = Shelf {
            collection: Collection::Registrations,
            instance: instance.rows(),
            owner: Some(&owner),
            prefix: &prefix,
        };
        self.scan(shelf, after, |document| Ok(visit(registration_state(document)?))).await
    }

    async fn scan(
        &self,
        shelf: Shelf<'_>,
        mut after: Option<String>,
        mut each: impl FnMut(&Document) -> Result<ControlFlow<()>, Error> + Send,
    ) -> Result<Option<String>, Error> {
        let mut left = MAX_QUERY_SCAN;
        loop {
            let documents = self.page_of(shelf, after.as_deref(), QUERY_ROWS_AT_ONCE).await?;
            for (index, document) in documents.iter().enumerate() {
                left -= 1;
                if each(document)?.is_continue() && left > 0 {
                    continue;
                }
                let last_read = index + 1 == documents.len();
                let ended = last_read
                    && (documents.len() < QUERY_ROWS_AT_ONCE
                        || self.page_of(shelf, Some(&document.id), 1).await?.is_empty());
                return Ok((!ended).then(|| document.id.clone()));
            }
            match documents.last() {
                Some(last) if documents.len() == QUERY_ROWS_AT_ONCE => after = Some(last.id.clone()),
                _ => return Ok(None),
            }
        }
    }

    async fn page_of(
        &self,
        shelf: Shelf<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Document>, Error> {
        let Shelf { collection, instance, owner, prefix } = shelf;
        let page = |after, limit| self.store.page(Page { collection, instance, owner, after, limit });
        if prefix.is_empty() {
            return Ok(page(after, limit).await?);
        }
        let mut documents = Vec::new();
        if after.is_none() {
            // The id that is no more than the beginning stands before all others that have it.
            let first = self.store.get(collection, instance, prefix).await?;
            documents.extend(first.filter(|first| owner.is_none() || first.owner.as_deref() == owner));
        }
        documents.extend(page(after.or(Some(prefix)), limit - documents.len()).await?);
        let others = documents.iter().position(|document| !document.id.starts_with(prefix));
        documents.truncate(others.unwrap_or(documents.len()));
        Ok(documents)
    }
}
