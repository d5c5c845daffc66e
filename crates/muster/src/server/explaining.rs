//! Explains closed events on the recorder's thread, before anybody else sees them. Owns when something is looked up for
//! it, and how much; what there is to know is the core's, what is concluded dps-explain's.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dps_attestation::RefusedToken;
use dps_core::ports::Clock;
use dps_core::{HeldCertificate, Instances, Known as Records};
use dps_events::recorder::Explainer;
use dps_events::{AttemptRecord, Event};
use dps_explain::{Authority, Known, Near, NearKind, SasMatch, Signer, Wanted};
use dps_model::{Error, IdScope, RegistrationId, limits};
use moka::sync::Cache;
use tokio::runtime::Handle;

/// Explains, once there are instances to look things up in.
#[derive(Clone, Default)]
pub struct Explaining {
    records: Arc<OnceLock<Records>>,
}

impl Explaining {
    /// From now on there are these instances.
    pub fn begin(&self, instances: &Arc<Instances>) {
        let _ = self.records.set(Records::new(Arc::clone(instances))); // it is begun once
    }

    /// What the recorder calls. Lookups are done by the runtime that this is called on.
    pub fn explainer(&self, clock: Arc<dyn Clock>) -> Explainer {
        let (records, handle) = (Arc::clone(&self.records), Handle::current());
        let remembered = Cache::builder()
            .max_capacity(limits::MAX_KNOWN_REMEMBERED)
            .time_to_live(Duration::from_secs(limits::KNOWN_REMEMBERED))
            .build();
        let mut looking = Looking { remembered, clock, second: 0, done: 0, spent: 0 };
        Box::new(move |event| {
            let known = looking.known(event, records.get(), &handle);
            let causes = dps_explain::explain(event, &known);
            if let Some(place) = event.causes_mut() {
                *place = causes;
            }
        })
    }
}

/// Explains what operators rehearse: looked up each time, for they wait for it.
pub struct ExplainRehearsals(pub Records);

#[async_trait]
impl dps_management_api::Explain for ExplainRehearsals {
    async fn explain(&self, record: &mut AttemptRecord) {
        let event = Event::Attempt(Box::new(record.clone()));
        let mut known = Known::default();
        if let Err(error) = gather(&self.0, record, Wanted::of(&event), &mut known).await {
            tracing::debug!(%error, "not everything could be looked up to explain a rehearsal");
        }
        record.causes = dps_explain::explain(&event, &known);
    }
}

/// Who looks things up, and how much of late.
struct Looking {
    /// By device and what it showed.
    remembered: Cache<Shown, Arc<Known>>,
    clock: Arc<dyn Clock>,
    second: u64,
    done: u64,
    /// Microseconds of this second.
    spent: u64,
}

/// What a lookup depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Shown {
    instance: Option<String>,
    id_scope: String,
    registration_id: String,
    reason: Option<&'static str>,
    evidence: Option<String>,
}

impl Shown {
    fn of(attempt: &AttemptRecord) -> Self {
        let token = attempt.sas.as_ref().map(|sas| &sas.signature_hash);
        let leaf = attempt.chain.first().map(|leaf| &leaf.sha256_thumbprint);
        Self {
            instance: attempt.instance.clone(),
            id_scope: attempt.id_scope.clone(),
            registration_id: attempt.registration_id.clone(),
            reason: attempt.reason,
            evidence: attempt.endorsement_key.as_ref().or(token).or(leaf).cloned(),
        }
    }
}

impl Looking {
    /// What is known for the event; nothing when nothing is wanted, there is too much to do, or it takes too long.
    fn known(&mut self, event: &Event, records: Option<&Records>, handle: &Handle) -> Arc<Known> {
        let wanted = Wanted::of(event);
        let (Event::Attempt(attempt), Some(records), false) = (event, records, wanted.nothing()) else {
            return Arc::default();
        };
        let shown = Shown::of(attempt);
        if let Some(known) = self.remembered.get(&shown) {
            return known;
        }
        if !self.may_look() {
            return Arc::default();
        }
        let limit = Duration::from_millis(limits::EXPLANATION_TIMEOUT);
        let begun = self.clock.monotonic_micros();
        let mut known = Known::default();
        let found = handle.block_on(async {
            tokio::time::timeout(limit, gather(records, attempt, wanted, &mut known)).await
        });
        self.spent += self.clock.monotonic_micros().saturating_sub(begun);
        // What was found until then holds all the same.
        if let Ok(Err(error)) = found {
            tracing::debug!(%error, "not everything could be looked up to explain a refusal");
        }
        let known = Arc::new(known);
        self.remembered.insert(shown, Arc::clone(&known));
        known
    }

    /// So many, and for so long, in each second: in a storm of refusals, or with a slow store, the recorder must not fall
    /// behind.
    fn may_look(&mut self) -> bool {
        let second = self.clock.monotonic_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.done, self.spent) = (second, 0, 0);
        }
        self.done += 1;
        self.done <= limits::MAX_LOOKUPS_PER_SECOND && self.spent < limits::LOOKUP_TIME_PER_SECOND * 1_000
    }
}

/// Looks up what is wanted for an attempt, what takes longest last.
async fn gather(
    records: &Records,
    attempt: &AttemptRecord,
    wanted: Wanted,
    known: &mut Known,
) -> Result<(), Error> {
    if wanted.scopes {
        known.scopes = near_scopes(&attempt.id_scope, records.id_scopes());
    }
    let Some(rows) = attempt.instance.as_ref().and_then(|name| records.rows(name)) else { return Ok(()) };
    if wanted.sas {
        known.sas = sas(records, &rows, attempt).await?;
    }
    if wanted.chain {
        known.signers = records.signers(&rows).await?.into_iter().map(signer).collect();
        known.authorities = records.authorities(&rows).into_iter().map(authority).collect();
    }
    if let (true, Some(name)) = (wanted.key_holders, &attempt.endorsement_key) {
        known.key_holders = records.key_holders(&rows, name).await?;
    }
    if wanted.near {
        let key = attempt.registration_id.to_ascii_lowercase();
        known.elsewhere = records.enrolled_elsewhere(&rows, &key).await?;
        let near = |(name, distance)| Near { name, kind: NearKind::Enrollment, distance };
        known.near = records.ids_near(&rows, &key).await?.into_iter().map(near).collect();
    }
    Ok(())
}

/// The few id scopes that are nearly that one, nearest first.
fn near_scopes(scope: &str, others: Vec<String>) -> Vec<Near> {
    // Of a short name everything short is near.
    let most = limits::MAX_NEAR_DISTANCE.min(scope.len() / 4);
    if scope.len() > limits::MAX_ID_SCOPE + most {
        return Vec::new();
    }
    let scope = scope.to_ascii_lowercase();
    let near = |name: String| {
        let distance = strsim::osa_distance(&scope, &name.to_ascii_lowercase());
        (1..=most).contains(&distance).then_some(Near { name, kind: NearKind::Scope, distance })
    };
    let mut near: Vec<Near> = others.into_iter().filter_map(near).collect();
    near.sort_by(|one, other| (one.distance, &one.name).cmp(&(other.distance, &other.name)));
    near.truncate(limits::MAX_NEAR);
    near
}

async fn sas(records: &Records, rows: &str, attempt: &AttemptRecord) -> Result<Vec<SasMatch>, Error> {
    let (Some(sas), Ok(registration_id), Ok(id_scope)) =
        (&attempt.sas, RegistrationId::parse(&attempt.registration_id), IdScope::parse(&attempt.id_scope))
    else {
        return Ok(Vec::new());
    };
    let token = RefusedToken {
        resource: &sas.resource,
        expiry: sas.expiry,
        signature_hash: &sas.signature_hash,
        id_scope: &id_scope,
        registration_id: &registration_id,
    };
    let found = records.sas_mistakes(rows, &token).await?;
    let matched = |(group, mistake): (Option<dps_model::EnrollmentGroupId>, _)| SasMatch {
        group: group.map(|id| id.as_str().to_owned()),
        mistake,
    };
    Ok(found.into_iter().map(matched).collect())
}

fn signer(held: HeldCertificate) -> Signer {
    let HeldCertificate { holder, subject, issuer, key, verified: _ } = held;
    Signer { group: holder, subject, issuer, key }
}

fn authority(held: HeldCertificate) -> Authority {
    let HeldCertificate { holder, subject, issuer, key, verified } = held;
    Authority { name: holder, subject, issuer, key, verified }
}
