//! Rehearsals: what would happen to a device now, step by step, and nothing happens. Walks the very line of a register
//! request over a store that cannot be written, up to where it would be admitted. Owns what is asked and told; must not
//! know who asks.

mod overlay;
mod report;
mod shown;

use std::sync::{Arc, Mutex, PoisonError};

use dps_attestation::tpm::{ChallengeSecret, system_random};
use dps_events::{AttemptRecord, Event, EventSink, Outcome};
use dps_model::enrollment::{EnrollmentGroup, EnrollmentInput, IndividualEnrollment};
use dps_model::instance::Instance;
use dps_model::limits::{MAX_REHEARSALS, Profile, RETRY_AFTER_BUSY};
use dps_model::{Error, ErrorCode, Secret};
use tokio::sync::Semaphore;

pub(crate) use self::overlay::Laid;
pub use self::report::{Foreseen, Rehearsal, Step, StepResult};
pub use self::shown::{Asked, Shown};

use self::overlay::Overlay;
use self::report::{Ground, Webhooked};
use crate::allocation::custom::{self, Next};
use crate::enrollment::find::Finder;
use crate::enrollment::group_lane::GroupLane;
use crate::enrollment::{Enrollments, KeyRings};
use crate::event::RegistrationEvent;
use crate::evidence::Halt;
use crate::instance::Instances;
use crate::line::{Course, Line, names_itself};
use crate::links::Links;
use crate::plan::{Ask, Plan, Unfinished, Work};
use crate::ports::{Clock, Regions, Store, Webhook};
use crate::registration::Versioned;
use crate::request::{DeviceOperation, DeviceRequest, DeviceResponse};
use crate::throttle::Throttle;

/// Rehearses.
pub struct Rehearsals {
    instances: Arc<Instances>,
    enrollments: Arc<Enrollments>,
    clock: Arc<dyn Clock>,
    regions: Arc<dyn Regions>,
    webhook: Arc<dyn Webhook>,
    /// A lane of their own: devices wait behind nobody's rehearsal.
    lane: Arc<GroupLane>,
    /// One that throttles nobody.
    throttle: Arc<Throttle>,
    /// Never answered, so any will do.
    challenges: Secret,
    places: Semaphore,
    /// What the probes of hubs tell.
    links: Arc<Links>,
}

/// An enrollment as it might be, in place of or beside those that are there.
pub enum Proposed {
    /// Of one device.
    Individual(EnrollmentInput),
    /// Of many.
    Group(EnrollmentInput),
}

/// How far a request came.
enum End {
    /// It names no instance or no device, or may not call.
    Unaddressed(Error),
    /// It was not let in.
    Halted(Halt),
    /// What it comes to.
    Course(Course),
}

impl Rehearsals {
    /// Over the same instances and enrollments as devices meet.
    pub fn new(
        instances: Arc<Instances>,
        enrollments: Arc<Enrollments>,
        clock: Arc<dyn Clock>,
        regions: Arc<dyn Regions>,
        webhook: Arc<dyn Webhook>,
    ) -> std::io::Result<Self> {
        let mut random = vec![0; 32];
        system_random(&mut random)
            .map_err(|_| std::io::Error::other("the system has no randomness to give"))?;
        Ok(Self {
            instances,
            enrollments,
            regions,
            webhook,
            lane: Arc::new(GroupLane::start()?),
            throttle: Arc::new(Throttle::new(Profile::None, Arc::clone(&clock))),
            challenges: Secret::new(random),
            clock,
            places: Semaphore::new(MAX_REHEARSALS),
            links: Arc::default(),
        })
    }

    /// Knows by the probes which hubs would take no device now.
    pub fn with_links(self, links: Arc<Links>) -> Self {
        Self { links, ..self }
    }

    /// What would happen to the device. Errors: what is asked cannot be rehearsed (`ArgumentInvalid`, and those of a
    /// proposed enrollment), or the server failed; a device that would be refused is none.
    pub async fn run(
        &self,
        instance: &Arc<Instance>,
        asked: Asked,
        proposed: Option<Proposed>,
    ) -> Result<Rehearsal, Error> {
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let asks_webhook = asked.asks_webhook;
        let request = asked.request(instance, self.clock.now())?;
        let line = self.line(instance, proposed).await?;
        let kept = Arc::new(KeptRecord::default());
        let sink: Arc<dyn EventSink> = Arc::clone(&kept) as _;
        let mut event = RegistrationEvent::open(&request, &sink, &self.clock);
        let (end, previous) = walk(&line, &request, &mut event).await?;
        let webhooked = match &end {
            End::Course(Course::Planned(_, Ok(Work::Ask(ask)))) if asks_webhook => {
                Some(self.ask(ask, previous.as_ref(), instance).await)
            }
            _ => None,
        };
        close(event, &end, webhooked.as_ref());
        let record = kept.take().ok_or_else(|| Error::internal("a rehearsal left no record"))?;
        let ground = Ground { instance, request: &request, previous: previous.as_ref(), webhooked };
        let rehearsal = report::make(&ground, &end, record);
        let trouble = rehearsal.hub.as_deref().and_then(|hub| self.links.trouble(&instance.name, hub));
        Ok(match trouble {
            Some((error, since)) => rehearsal.on_broken_link(error, since),
            None => rehearsal,
        })
    }

    /// The line of devices, over what is kept and what is proposed.
    async fn line(&self, instance: &Instance, proposed: Option<Proposed>) -> Result<Line, Error> {
        let enrollments = &self.enrollments;
        let laid = match proposed {
            Some(Proposed::Individual(input)) => {
                Some(enrollments.proposed::<IndividualEnrollment>(instance, &input).await?)
            }
            Some(Proposed::Group(input)) => {
                Some(enrollments.proposed::<EnrollmentGroup>(instance, &input).await?)
            }
            None => None,
        };
        let beneath = Arc::clone(self.instances.store());
        let rings = laid.is_none().then(|| enrollments.rings());
        let store: Arc<dyn Store> = Arc::new(Overlay::new(beneath, laid));
        // A proposed group's key is on no ring that others share.
        let rings = rings.unwrap_or_else(|| Arc::new(KeyRings::new(Arc::clone(&store))));
        Ok(Line {
            instances: Arc::clone(&self.instances),
            finder: Finder::new(Arc::clone(&store), rings, Arc::clone(&self.lane)),
            store,
            throttle: Arc::clone(&self.throttle),
            challenges: ChallengeSecret::new(&self.challenges),
            clock: Arc::clone(&self.clock),
            regions: Arc::clone(&self.regions),
        })
    }

    /// Asks a webhook once, as the operation would, and makes the plan of its answer.
    async fn ask(&self, ask: &Ask, previous: Option<&Versioned>, instance: &Instance) -> Webhooked {
        let Some(sealed) = &ask.sealed else {
            return Webhooked {
                said: String::new(),
                plan: Err(Error::internal("a question without its body")),
            };
        };
        let answer = self.webhook.ask(&sealed.url, &sealed.body).await;
        let said = match &answer {
            Ok(answer) => format!("iotHubHostName {:?}", answer.hub.as_deref().unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        let plan = custom::judge(answer, &ask.offered, 0).and_then(|next| match next {
            Next::Assign { hub, twin, .. } => {
                let unfinished = previous.map(|kept| Unfinished::of(&kept.record)).unwrap_or_default();
                let mut draft = ask.draft.clone();
                draft.initial_twin = twin.or(draft.initial_twin);
                Ok(draft.plan(hub, &unfinished, instance))
            }
            Next::Again(pause) => Err(Error::new(ErrorCode::CustomAllocationFailed)
                .because(format!("the webhook would be asked again after {} s", pause.as_secs()))),
        });
        Webhooked { said, plan: plan.map(Box::<Plan>::new) }
    }
}

/// Walks the line up to where the request would be admitted. Errors: the server failed.
async fn walk(
    line: &Line,
    request: &DeviceRequest,
    event: &mut RegistrationEvent,
) -> Result<(End, Option<Versioned>), Error> {
    let addressed = line.addressed(request, event).and_then(|(instance, id)| {
        if let DeviceOperation::Register(body) = &request.operation {
            names_itself(body, &id)?;
        }
        Ok((instance, id))
    });
    let (instance, id) = match addressed {
        Ok(addressed) => addressed,
        Err(error) => return Ok((End::Unaddressed(error), None)),
    };
    let previous = line.registration(&instance, &id).await?;
    match line.course(request, &instance, &id, previous.as_ref(), event).await {
        Ok(course) => Ok((End::Course(course), previous)),
        Err(Halt::Failed(error)) if is_ours(&error) => Err(error),
        Err(halt) => Ok((End::Halted(halt), previous)),
    }
}

/// A failure that says nothing of the device.
fn is_ours(error: &Error) -> bool {
    matches!(error.code, ErrorCode::Internal | ErrorCode::Unavailable | ErrorCode::Throttled)
}

/// Closes the event as a device's would be; one that fails for want of a hub says so at once.
fn close(event: RegistrationEvent, end: &End, webhooked: Option<&Webhooked>) {
    let outcome = match end {
        End::Unaddressed(error)
        | End::Halted(Halt::Failed(error))
        | End::Course(Course::Planned(_, Err(error))) => Outcome::failed(error),
        End::Halted(Halt::Challenged(challenge)) => {
            return event.close(&Ok(DeviceResponse::challenge(challenge)));
        }
        End::Course(Course::Planned(..)) => match webhooked.map(|asked| &asked.plan) {
            Some(Err(error)) => Outcome::failed(error),
            _ => Outcome::Success,
        },
        End::Course(Course::UnderWay(_) | Course::Disabled(_)) => Outcome::Success,
    };
    event.close_as(outcome);
}

fn busy() -> Error {
    Error::new(ErrorCode::Throttled)
        .because(format!("{MAX_REHEARSALS} rehearsals run already"))
        .retry_after(RETRY_AFTER_BUSY)
}

/// The one record of a rehearsal; it goes nowhere but into the answer.
#[derive(Default)]
struct KeptRecord(Mutex<Option<Box<AttemptRecord>>>);

impl KeptRecord {
    fn take(&self) -> Option<Box<AttemptRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl EventSink for KeptRecord {
    fn record(&self, event: Event) {
        if let Event::Attempt(record) = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
        }
    }
}
