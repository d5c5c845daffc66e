//! A certificate stands in one enrollment only: each has a claim, a document of its own that is written together with
//! the enrollment, so that of two writes at the same instant one is refused. Must not know why it is asked.

use dps_attestation::{EnrollmentKind, x509};
use dps_model::attestation::Mechanism;
use dps_model::{Error, ErrorCode, Etag};
use serde::{Deserialize, Serialize};

use super::kind::Enrolled;
use crate::ports::{Collection, Document, Precondition, Store, Write};

/// Body of a claim: whose the certificate is.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Claim {
    group: bool,
    id: String,
}

impl Claim {
    fn of<E: Enrolled>(id: &str) -> Self {
        Self { group: E::KIND == EnrollmentKind::Group, id: id.to_owned() }
    }

    fn name(&self) -> &'static str {
        if self.group { "enrollment group" } else { "enrollment" }
    }

    fn in_use(&self) -> Error {
        let message = format!("The certificate is used by {} {} already.", self.name(), self.id);
        Error::with(ErrorCode::CertificateInUse, message)
    }
}

/// The texts that an enrollment's certificates are claimed under.
pub(super) fn texts(mechanism: &Mechanism) -> Vec<String> {
    let (Mechanism::ClientCertificates(pair) | Mechanism::SigningCertificates(pair)) = mechanism else {
        return Vec::new();
    };
    let mut texts: Vec<String> =
        pair.iter().map(|certificate| x509::thumbprint_lookup(&certificate.der)).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// The writes beside that of enrollment `id`, which has `old` certificates and is to have `new` ones.
/// Errors: `CertificateInUse`, naming the other enrollment.
pub(super) async fn move_over<E: Enrolled>(
    store: &dyn Store,
    instance: &str,
    id: &str,
    old: &[String],
    new: &[String],
) -> Result<Vec<Write>, Error> {
    let own = Claim::of::<E>(id);
    unused_elsewhere::<E>(store, instance, id, new).await?;
    let mut writes = Vec::new();
    for text in new {
        let precondition = match store.get(Collection::CertificateClaims, instance, text).await? {
            None => Precondition::Absent,
            // Written again: were it released meanwhile, this would be left without it.
            Some(document) if read(&document)? == own => Precondition::Matches(document.etag),
            // Nobody uses it any more: its enrollment went without it, or has yet to be written.
            Some(document) => match holder_of(store, instance, &read(&document)?, text).await? {
                Some(error) => return Err(error),
                None => Precondition::Matches(document.etag),
            },
        };
        writes.push(put(instance, text, &own, precondition)?);
    }
    writes.extend(old.iter().filter(|text| !new.contains(text)).map(|text| release(instance, text)));
    Ok(writes)
}

/// The write that gives a certificate free, together with the deletion of its enrollment.
pub(super) fn release(instance: &str, text: &str) -> Write {
    Write::Delete {
        collection: Collection::CertificateClaims,
        instance: instance.to_owned(),
        id: text.to_owned(),
        precondition: Precondition::None,
    }
}

/// Looks the certificates up among all enrollments: stores of earlier releases have no claims.
pub(super) async fn unused_elsewhere<E: Enrolled>(
    store: &dyn Store,
    instance: &str,
    id: &str,
    texts: &[String],
) -> Result<(), Error> {
    if texts.is_empty() {
        return Ok(());
    }
    for (collection, group) in [(Collection::Enrollments, false), (Collection::EnrollmentGroups, true)] {
        let users = store.find(collection, instance, texts).await?;
        let other = users.iter().find(|user| collection != E::COLLECTION || user.id != id);
        if let Some(other) = other {
            return Err(Claim { group, id: other.id.clone() }.in_use());
        }
    }
    Ok(())
}

/// The refusal in the name of a claim's enrollment, if that has the certificate.
async fn holder_of(
    store: &dyn Store,
    instance: &str,
    claim: &Claim,
    text: &str,
) -> Result<Option<Error>, Error> {
    let collection = if claim.group { Collection::EnrollmentGroups } else { Collection::Enrollments };
    let holder = store.get(collection, instance, &claim.id).await?;
    let holds = holder.is_some_and(|document| document.lookups.iter().any(|lookup| lookup == text));
    Ok(holds.then(|| claim.in_use()))
}

fn read(document: &Document) -> Result<Claim, Error> {
    serde_json::from_str(&document.body)
        .map_err(|_| Error::internal(format!("the claim of certificate {} is damaged", document.id)))
}

fn put(instance: &str, text: &str, claim: &Claim, precondition: Precondition) -> Result<Write, Error> {
    let document = Document {
        id: text.to_owned(),
        etag: Etag::fresh(),
        body: serde_json::to_string(claim).map_err(Error::internal)?,
        sealed: None,
        owner: None,
        due: None,
        lookups: Vec::new(),
    };
    Ok(Write::Put {
        collection: Collection::CertificateClaims,
        instance: instance.to_owned(),
        document,
        precondition,
    })
}
