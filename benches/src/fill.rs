//! Fills a data directory's store while no server has it open. Owns the writes' number; must not know what is measured.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use dps_attestation::x509;
use dps_core::enrollment::record;
use dps_core::ports::{Precondition, Store as _, Write};
use dps_model::attestation::{Certificates, Mechanism};
use dps_model::enrollment::{EnrollmentGroup, EnrollmentSettings, IndividualEnrollment, Stamp};
use dps_model::registration::TpmKeys;
use dps_model::{EnrollmentGroupId, RegistrationId, Timestamp};
use dps_store::{OpenOptions, SqliteStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::task::JoinSet;

use crate::{devices, tpm};

/// Writes that share a commit.
pub const BATCH: usize = 512;
/// Batches on their way at once.
pub const AT_ONCE: usize = 8;
/// When everything was enrolled: 2026-01-01.
pub const ENROLLED: i64 = 1_767_225_600_000;

/// Enrollments to write.
pub enum Enroll {
    /// Individual ones with keys, numbered from 0.
    Individuals { family: &'static str, count: usize },
    /// Individual ones with TPMs, numbered from 0.
    Tpms { family: &'static str, count: usize },
    /// The one group that devices with keys derive from.
    OneKeyGroup,
    /// Many groups with keys.
    KeyGroups(usize),
    /// The group of a signing certificate (PEM), by name.
    X509Group { name: String, ca: String },
}

/// Writes all of them.
pub async fn fill(data_dir: &Path, instance: &str, enrollments: &[Enroll]) -> Result<()> {
    let store = Arc::new(SqliteStore::open(OpenOptions::in_directory(data_dir)).await?);
    for enroll in enrollments {
        let count = match enroll {
            Enroll::Individuals { count, .. } | Enroll::Tpms { count, .. } | Enroll::KeyGroups(count) => {
                *count
            }
            Enroll::OneKeyGroup | Enroll::X509Group { .. } => 1,
        };
        let mut running: JoinSet<Result<()>> = JoinSet::new();
        for start in (0..count).step_by(BATCH) {
            let numbers = start..count.min(start + BATCH);
            let writes = numbers.map(|number| write(instance, enroll, number)).collect::<Result<Vec<_>>>()?;
            let store = Arc::clone(&store);
            running.spawn(async move { Ok(store.write(writes).await?) });
            if running.len() >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                done??;
            }
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
    }
    store.close().await?;
    Ok(())
}

fn write(instance: &str, enroll: &Enroll, number: usize) -> Result<Write> {
    let stamp = Stamp::fresh(Timestamp::from_millis(ENROLLED));
    let group = |name: &str, attestation| -> Result<Write> {
        let enrollment_group_id = EnrollmentGroupId::parse(name)?;
        let settings = EnrollmentSettings::default();
        let group = EnrollmentGroup { enrollment_group_id, attestation, settings, stamp: stamp.clone() };
        Ok(record::write_group(instance, &group, Precondition::None)?)
    };
    let individual = |id: &str, attestation| -> Result<Write> {
        let enrollment = IndividualEnrollment {
            attestation,
            registration_id: RegistrationId::parse(id)?,
            device_id: None,
            settings: EnrollmentSettings::default(),
            optional_device_information: None,
            stamp: stamp.clone(),
        };
        Ok(record::write_individual(instance, &enrollment, Precondition::None)?)
    };
    match enroll {
        Enroll::Individuals { family, .. } => {
            let id = devices::name(family, number);
            individual(&id, Mechanism::SymmetricKey(devices::individual_keys(&id)))
        }
        Enroll::Tpms { family, .. } => {
            let id = devices::name(family, number);
            let keys = TpmKeys { storage_root_key: None, ..tpm::keys(&id) };
            individual(&id, Mechanism::Tpm(keys))
        }
        Enroll::OneKeyGroup => group("bench-keys", Mechanism::SymmetricKey(devices::one_group_keys())),
        Enroll::KeyGroups(_) => {
            group(&devices::group_name(number), Mechanism::SymmetricKey(devices::group_keys(number)))
        }
        Enroll::X509Group { name, ca } => {
            let der = CertificateDer::from_pem_slice(ca.as_bytes())?;
            let primary = x509::certificate::read_der(&der)
                .map_err(|why| anyhow::anyhow!("{why}"))
                .context("the CA")?;
            group(name, Mechanism::SigningCertificates(Certificates { primary, secondary: None }))
        }
    }
}
