//! What the service knows that may explain a refusal: ids near an unknown one, keys that make a signature when they are
//! used wrongly, certificates that a chain may lead to. Owns bounded lookups off the registration's path; must not know
//! what is concluded from them.

mod near;

use std::sync::Arc;

use dps_attestation::{EnrollmentKind, RefusedToken, SasMistake, x509};
use dps_model::attestation::Mechanism;
use dps_model::{EnrollmentGroupId, Error, limits};

use crate::enrollment::record;
use crate::instance::Instances;
use crate::ports::{Collection, Page};

/// Answers.
pub struct Known {
    instances: Arc<Instances>,
}

/// A certificate that enrollment groups or the instance hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCertificate {
    /// Group id, or name of the uploaded CA certificate.
    pub holder: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Subject key identifier, hex.
    pub key: Option<String>,
    /// Possession of its key is proven; an enrolled one needs no proof.
    pub verified: bool,
}

impl Known {
    /// Of these instances and their store.
    pub fn new(instances: Arc<Instances>) -> Self {
        Self { instances }
    }

    /// Every id scope of the server.
    pub fn id_scopes(&self) -> Vec<String> {
        let scope = |instance: &Arc<dps_model::instance::Instance>| instance.id_scope.as_str().to_owned();
        self.instances.all().iter().take(limits::MAX_KNOWN_SCOPES).map(scope).collect()
    }

    /// Names of the other instances that have an individual enrollment of that registration id key.
    pub async fn enrolled_elsewhere(&self, rows: &str, key: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for instance in self.instances.all().iter().take(limits::MAX_KNOWN_SCOPES) {
            let there = instance.rows() != rows
                && self.instances.store().get(Collection::Enrollments, instance.rows(), key).await?.is_some();
            if there {
                names.push(instance.name.clone());
            }
        }
        Ok(names)
    }

    /// Ids of individual enrollments that are nearly that key, and by how many letters they differ, the nearest first.
    pub async fn ids_near(&self, rows: &str, key: &str) -> Result<Vec<(String, usize)>, Error> {
        near::near(self.instances.store().as_ref(), rows, key).await
    }

    /// Enrollments whose keys, used wrongly, made the signature; a group by its id, the device's own by none.
    pub async fn sas_mistakes(
        &self,
        rows: &str,
        token: &RefusedToken<'_>,
    ) -> Result<Vec<(Option<EnrollmentGroupId>, SasMistake)>, Error> {
        let store = self.instances.store();
        let own = store.get(Collection::Enrollments, rows, &token.registration_id.key()).await?;
        if let Some(document) = own {
            // It decides alone.
            let found = match record::read_individual(&document)?.attestation {
                Mechanism::SymmetricKey(keys) => SasMistake::find(&keys, EnrollmentKind::Individual, token),
                _ => None,
            };
            return Ok(found.map(|mistake| (None, mistake)).into_iter().collect());
        }
        let page = Page {
            collection: Collection::EnrollmentGroups,
            instance: rows,
            owner: Some(record::SYMMETRIC_KEY_OWNER),
            after: None,
            limit: limits::MAX_KNOWN_GROUPS,
        };
        let mut mistakes = Vec::new();
        for document in store.page(page).await? {
            let group = record::read_group(&document)?;
            if let Mechanism::SymmetricKey(keys) = &group.attestation
                && let Some(mistake) = SasMistake::find(keys, EnrollmentKind::Group, token)
            {
                mistakes.push((Some(group.enrollment_group_id), mistake));
            }
        }
        Ok(mistakes)
    }

    /// Registration ids that an endorsement key of that name (hex) is enrolled under.
    pub async fn key_holders(&self, rows: &str, name: &str) -> Result<Vec<String>, Error> {
        let lookups = [dps_attestation::tpm::name_lookup(name)];
        let documents = self.instances.store().find(Collection::Enrollments, rows, &lookups).await?;
        let holder = |document| Ok(record::read_individual(&document)?.registration_id.as_str().to_owned());
        documents.into_iter().take(limits::MAX_KNOWN_HOLDERS).map(holder).collect()
    }

    /// Signing certificates of the X.509 enrollment groups.
    pub async fn signers(&self, rows: &str) -> Result<Vec<HeldCertificate>, Error> {
        let page = Page {
            collection: Collection::EnrollmentGroups,
            instance: rows,
            owner: None,
            after: None,
            limit: limits::MAX_KNOWN_GROUPS,
        };
        let mut signers = Vec::new();
        for document in self.instances.store().page(page).await? {
            let group = record::read_group(&document)?;
            if let Mechanism::SigningCertificates(pair) = &group.attestation {
                let held = |certificate: &dps_model::attestation::Certificate| {
                    held(group.enrollment_group_id.as_str(), &certificate.der, true)
                };
                signers.extend(pair.iter().filter_map(held));
            }
        }
        Ok(signers)
    }

    /// CA certificates uploaded to the instance of those rows.
    pub fn authorities(&self, rows: &str) -> Vec<HeldCertificate> {
        let Some(instance) = self.instances.by_rows(rows) else { return Vec::new() };
        let held = |ca: &dps_model::certificate_authority::CaCertificate| {
            held(&ca.name, &ca.certificate.der, ca.is_verified)
        };
        instance.certificates.iter().filter_map(held).collect()
    }

    /// Rows of the instance of that name.
    pub fn rows(&self, instance: &str) -> Option<String> {
        self.instances.by_name(instance).map(|instance| instance.rows().to_owned())
    }
}

fn held(holder: &str, der: &[u8], verified: bool) -> Option<HeldCertificate> {
    let certificate = x509::ParsedCertificate::parse(der).ok()?;
    let info = certificate.info();
    Some(HeldCertificate {
        holder: holder.to_owned(),
        subject: info.subject_name.clone(),
        issuer: info.issuer_name.clone(),
        key: certificate.subject_key_id(),
        verified,
    })
}
