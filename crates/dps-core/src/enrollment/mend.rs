//! Brings enrollments that an earlier release stored into today's form, once, before anybody is served: the texts they
//! are found by, and what has to be sealed. Must not know what changed between two forms; `record` does.

use dps_model::enrollment::{EnrollmentGroup, IndividualEnrollment};
use dps_model::{Error, Etag, limits};

use super::kind::Enrolled;
use super::record;
use crate::instance::Instances;
use crate::ports::{Collection, Document, Page, Precondition, Store, Write};

/// Where the form of the stored enrollments is noted.
const NOTE: &str = "enrollmentForm";

/// The form that `record` writes; a release that changes it counts on.
const FORM: &str = r#"{"form":3}"#;

/// Rewrites what is in an earlier form, under the version that it has: nothing changed for its owner. Answers how many
/// were rewritten. Damaged ones are left for whoever reads them to say so.
pub async fn mend(store: &dyn Store, instances: &Instances) -> Result<u64, Error> {
    let noted = store.get(Collection::Settings, "", NOTE).await?;
    if noted.is_some_and(|note| note.body == FORM) {
        return Ok(0);
    }
    let mut mended = 0;
    for instance in instances.all() {
        mended += mend_kind::<EnrollmentGroup>(store, instance.rows()).await?;
        mended += mend_kind::<IndividualEnrollment>(store, instance.rows()).await?;
    }
    store.write(vec![note()]).await?;
    Ok(mended)
}

async fn mend_kind<E: Enrolled>(store: &dyn Store, rows: &str) -> Result<u64, Error> {
    let (mut mended, mut after) = (0, None::<String>);
    loop {
        let page = Page {
            collection: E::COLLECTION,
            instance: rows,
            owner: None,
            after: after.as_deref(),
            limit: limits::MAX_PAGE,
        };
        let documents = store.page(page).await?;
        let Some(last) = documents.last() else { return Ok(mended) };
        let next = last.id.clone();
        for document in &documents {
            if let Some(write) = rewritten::<E>(rows, document) {
                store.write(vec![write]).await?;
                mended += 1;
            }
        }
        after = Some(next);
    }
}

/// The write that brings the document into today's form; none where it has it.
fn rewritten<E: Enrolled>(rows: &str, document: &Document) -> Option<Write> {
    let read = E::read(document);
    let write = read.and_then(|kept| kept.write(rows, Precondition::Matches(document.etag.clone())));
    match write {
        Ok(Write::Put { document: wanted, .. }) if record::same_form(&wanted, document) => None,
        Ok(write) => Some(write),
        Err(error) => {
            tracing::error!(enrollment = document.id, %error, "an enrollment cannot be read; it stays as it is");
            None
        }
    }
}

fn note() -> Write {
    let document = Document {
        id: NOTE.to_owned(),
        etag: Etag::fresh(),
        body: FORM.to_owned(),
        sealed: None,
        owner: None,
        due: None,
        lookups: Vec::new(),
    };
    let (collection, instance) = (Collection::Settings, String::new());
    Write::Put { collection, instance, document, precondition: Precondition::None }
}
