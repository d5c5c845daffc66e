//! Finds the enrollments that may let a device in, in the order in which they decide.
//! Must not judge evidence: it names candidates, `dps_attestation::verify` decides.

use std::sync::Arc;

use dps_attestation::sas_token::SasToken;
use dps_attestation::symmetric_key::GroupKeys;
use dps_attestation::{Evidence, x509};
use dps_model::attestation::Mechanism;
use dps_model::instance::Instance;
use dps_model::{Channel, Error, RegistrationId, limits};
use moka::sync::Cache;

use super::group_lane::GroupLane;
use super::{Found, KeyRings, record, references};
use crate::event::RegistrationEvent;
use crate::ports::{Collection, Store};
use crate::registration::{EnrollmentName, RegistrationRecord};

/// Looks for enrollments.
pub struct Finder {
    store: Arc<dyn Store>,
    rings: Arc<KeyRings>,
    lane: Arc<GroupLane>,
    /// The group that let a symmetric-key device in last time, by its instance's rows and registration id.
    remembered: Cache<(String, String), String>,
}

/// A device that says who it is.
pub struct Claim<'a> {
    /// Whose device.
    pub instance: &'a Instance,
    /// Who it says it is.
    pub registration_id: &'a RegistrationId,
    /// What it shows for it.
    pub evidence: &'a Evidence,
    /// Where it comes from.
    pub channel: &'a Channel,
    /// Its last registration.
    pub previous: Option<&'a RegistrationRecord>,
}

impl Finder {
    /// A finder over that store.
    pub fn new(store: Arc<dyn Store>, rings: Arc<KeyRings>, lane: Arc<GroupLane>) -> Self {
        Self { store, rings, lane, remembered: Cache::new(limits::MAX_REMEMBERED_GROUPS) }
    }

    /// The candidates: the individual enrollment alone where there is one (it decides even when it does not fit),
    /// else groups; for a chain those it names, nearest to the leaf first; for a token the one whose key it derives
    /// from.
    pub async fn candidates(
        &self,
        claim: &Claim<'_>,
        event: &mut RegistrationEvent,
    ) -> Result<Vec<Found>, Error> {
        let (rows, id) = (claim.instance.rows(), claim.registration_id.key());
        if let Some(document) = self.store.get(Collection::Enrollments, rows, &id).await? {
            return Ok(vec![Found::Individual(Box::new(record::read_individual(&document)?))]);
        }
        match claim.evidence {
            Evidence::X509(chain) => self.groups_of_chain(claim.instance, chain).await,
            Evidence::Sas(token) => Ok(self.group_of_token(claim, token, event).await?.into_iter().collect()),
            // A TPM is one device's: it belongs to no group.
            Evidence::Tpm(_) | Evidence::None => Ok(Vec::new()),
        }
    }

    async fn groups_of_chain(
        &self,
        instance: &Instance,
        chain: &x509::PresentedChain,
    ) -> Result<Vec<Found>, Error> {
        let chain = x509::chain_lookups(chain);
        let named = references::of_chain(instance, &chain);
        // Lookups stand in the order of the chain: the first that a group stands under is its distance.
        let mut lookups: Vec<(usize, String)> = chain.into_iter().enumerate().collect();
        lookups.extend(named);
        let texts: Vec<String> = lookups.iter().map(|(_, text)| text.clone()).collect();
        let documents = self.store.find(Collection::EnrollmentGroups, instance.rows(), &texts).await?;
        let mut groups = Vec::with_capacity(documents.len());
        for document in documents {
            let under = lookups.iter().filter(|(_, text)| document.lookups.contains(text));
            let distance = under.map(|(distance, _)| *distance).min().unwrap_or(usize::MAX);
            groups.push((distance, Found::Group(Box::new(record::read_group(&document)?))));
        }
        groups.sort_by_key(|(distance, _)| *distance);
        groups.truncate(limits::MAX_CANDIDATES);
        Ok(groups.into_iter().map(|(_, group)| group).collect())
    }

    async fn group_of_token(
        &self,
        claim: &Claim<'_>,
        token: &SasToken,
        event: &mut RegistrationEvent,
    ) -> Result<Option<Found>, Error> {
        let (instance, id) = (claim.instance, claim.registration_id);
        let key = (instance.rows().to_owned(), id.key());
        let mut known = None;
        if let Some(name) = self.remembered.get(&key).or_else(|| last_group(claim.previous)) {
            known = self.group(instance, &name).await?;
            if known.as_ref().is_some_and(|found| derives(found.mechanism(), token, id)) {
                self.remembered.insert(key, name);
                return Ok(known);
            }
            self.remembered.invalidate(&key);
        }
        let ring = self.rings.of(instance.rows()).await?;
        let trial = self.lane.search(claim.channel.peer.ip(), id, token, ring).await?;
        event.fill(|record| record.groups_tried = trial.tried);
        // Of no group's key: the one that knows the device tells best what is wrong.
        let Some(name) = trial.group else { return Ok(known) };
        let found = self.group(instance, &name).await?;
        if found.is_some() {
            self.remembered.insert(key, name);
        }
        Ok(found)
    }

    async fn group(&self, instance: &Instance, key: &str) -> Result<Option<Found>, Error> {
        let document = self.store.get(Collection::EnrollmentGroups, instance.rows(), key).await?;
        document.map(|document| Ok(Found::Group(Box::new(record::read_group(&document)?)))).transpose()
    }
}

/// The group of the last registration: what is remembered when memory is new.
fn last_group(previous: Option<&RegistrationRecord>) -> Option<String> {
    match &previous?.enrollment {
        EnrollmentName::Group(id) => Some(id.to_ascii_lowercase()),
        EnrollmentName::Individual => None,
    }
}

fn derives(mechanism: &Mechanism, token: &SasToken, id: &RegistrationId) -> bool {
    matches!(mechanism, Mechanism::SymmetricKey(keys) if GroupKeys::prepare(keys).matches(token, id).is_some())
}
