//! How many enrollments an instance may have. Owns the count against the quotas of a profile; must not know the
//! profile. Creations at the same instant may go over a quota by their number, as counts are read before the write.

use dps_attestation::EnrollmentKind;
use dps_model::attestation::Mechanism;
use dps_model::limits::{MAX_PAGE, Quotas};
use dps_model::{Error, ErrorCode};

use super::kind::Enrolled;
use super::record::SYMMETRIC_KEY_OWNER;
use crate::ports::{Collection, Page, Store};

/// Refuses one more enrollment of that kind and mechanism when there are as many as may be.
pub(super) async fn room_for<E: Enrolled>(
    store: &dyn Store,
    quotas: &Quotas,
    instance: &str,
    mechanism: &Mechanism,
) -> Result<(), Error> {
    let symmetric = matches!(mechanism, Mechanism::SymmetricKey(_));
    let (quota, what) = match (E::KIND, symmetric) {
        (EnrollmentKind::Individual, _) => (quotas.individual_enrollments, "individual enrollments"),
        (EnrollmentKind::Group, true) => (quotas.symmetric_key_groups, "symmetric-key enrollment groups"),
        (EnrollmentKind::Group, false) => (quotas.x509_groups, "X.509 enrollment groups"),
    };
    let Some(quota) = quota else { return Ok(()) };
    let all = store.count(E::COLLECTION, instance).await?;
    let present = match (E::KIND, symmetric) {
        (EnrollmentKind::Individual, _) => all,
        (EnrollmentKind::Group, true) => symmetric_groups(store, instance, quota).await?,
        // Beyond the quota of the one kind the other's count is not exact, and need not be.
        (EnrollmentKind::Group, false) => {
            let most = quotas.symmetric_key_groups.unwrap_or(u64::MAX);
            all.saturating_sub(symmetric_groups(store, instance, most).await?)
        }
    };
    if present < quota {
        return Ok(());
    }
    let message = format!("The provisioning service has {present} {what}; its limit is {quota}.");
    Err(Error::with(ErrorCode::QuotaExceeded, message))
}

/// How many there are, counted no further than to `most` and a page beyond.
async fn symmetric_groups(store: &dyn Store, instance: &str, most: u64) -> Result<u64, Error> {
    let (mut count, mut after) = (0_u64, None::<String>);
    while count <= most {
        let page = Page {
            collection: Collection::EnrollmentGroups,
            instance,
            owner: Some(SYMMETRIC_KEY_OWNER),
            after: after.as_deref(),
            limit: MAX_PAGE,
        };
        let groups = store.page(page).await?;
        let Some(last) = groups.last() else { break };
        count += groups.len() as u64;
        after = Some(last.id.clone());
    }
    Ok(count)
}
