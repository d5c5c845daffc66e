//! One item of a bulk operation: what each mode does with it. Must not know the other items.

use dps_model::enrollment::EnrollmentInput;
use dps_model::etag::IfMatch;
use dps_model::instance::Instance;
use dps_model::{Error, ErrorCode, Etag};

use super::Enrollments;
use super::kind::Enrolled;

/// What is done with every item of a bulk operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// Create it; it must not exist.
    Create,
    /// Replace the version that it names, or any when its etag is `*`.
    Update,
    /// The same, and an item without an etag is not even compared.
    UpdateIfMatchEtag,
    /// Delete it, or only the version that it names.
    Delete,
}

/// What became of an item that was done.
#[derive(Debug)]
pub struct BulkDone {
    /// The version before; none of what was created.
    pub previous: Option<Etag>,
    /// The version now; none of what was deleted.
    pub etag: Option<Etag>,
}

impl BulkMode {
    const NAMES: [(&'static str, Self); 4] = [
        ("create", Self::Create),
        ("update", Self::Update),
        ("updateIfMatchETag", Self::UpdateIfMatchEtag),
        ("delete", Self::Delete),
    ];

    /// The mode of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, mode)| *mode)
    }
}

impl Enrollments {
    /// Does one item.
    ///
    /// An update of an existing enrollment that names no version meets `EnrollmentExists`, as recorded on Azure: its
    /// bulk items are held to the same rule as PUT.
    pub async fn bulk_item<E: Enrolled>(
        &self,
        instance: &Instance,
        mode: BulkMode,
        input: EnrollmentInput,
    ) -> Result<BulkDone, Error> {
        let id = E::id_of(&input).filter(|id| !id.is_empty()).map(ToOwned::to_owned);
        let id = id.ok_or_else(|| Error::argument(format!("{} is required; add it to the item", E::ID)))?;
        let etag = input.etag.as_deref().filter(|etag| !etag.trim().is_empty()).map(IfMatch::parse);
        let if_match = match (mode, etag) {
            (BulkMode::Delete, etag) => {
                let previous = self.delete::<E>(instance, &id, etag).await?;
                return Ok(BulkDone { previous, etag: None });
            }
            (BulkMode::Create, _) => None,
            (BulkMode::Update | BulkMode::UpdateIfMatchEtag, Some(etag)) => Some(etag),
            (BulkMode::Update, None) => {
                self.get::<E>(instance, &id).await?;
                return Err(Error::new(ErrorCode::EnrollmentExists)
                    .because("the item of a bulk update has no etag; send the current one, or *"));
            }
            (BulkMode::UpdateIfMatchEtag, None) => {
                return Err(Error::argument("etag is required by updateIfMatchETag; add it to the item"));
            }
        };
        let changed = self.put::<E>(instance, &id, input, if_match).await?;
        Ok(BulkDone { previous: changed.previous, etag: Some(changed.value.stamp().etag.clone()) })
    }
}
