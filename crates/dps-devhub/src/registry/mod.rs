//! The device registry of one hub: identities and twins, each device one document of the store.
//! Owns etag rules, generation ids and the order of changes of one device; must not know HTTP or MQTT.
//!
//! Changes of one device are done one after the other, so what `Notify` hears is in the order of the versions.

pub(crate) mod device;
pub(crate) mod twin;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dps_core::ports::{Clock, Collection, Page, Precondition, Refusal, Store, StoreError, Write};
use dps_model::hub::{HubDevice, HubTwin};
use dps_model::limits::{HUB_DEVICES_AT_ONCE, HUB_WRITE_ATTEMPTS, MAX_PAGE};
use dps_model::{DeviceId, Etag, HubName, Timestamp, etag::IfMatch};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::device::{
    Activity, Authentication, AuthenticationInput, Device, DeviceStatus, IdentityInput,
};
use crate::failure::{HubErrorCode, HubFailure};

/// Changes of devices go through one of so many locks.
const STRIPES: usize = 64;

/// Hears of changes that matter to a connected device.
pub(crate) trait Notify: Send + Sync {
    /// The desired properties changed: the version and what a device is told.
    fn desired(&self, id: &DeviceId, version: u64, told: Value);
    /// The device may not stay connected: disabled, or its credentials changed.
    fn unwelcome(&self, id: &DeviceId);
    /// The device is no more.
    fn deleted(&self, id: &DeviceId);
}

/// What a service asks of a twin; absent sections stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct TwinChange {
    pub(crate) tags: Option<Map<String, Value>>,
    pub(crate) desired: Option<Map<String, Value>>,
    /// Only where a twin comes from another hub: what is reported is the device's own.
    pub(crate) reported: Option<Map<String, Value>>,
}

/// How many devices there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) disabled: u64,
}

/// The registry of one hub.
pub(crate) struct Registry<N> {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    instance: String,
    notify: N,
    stripes: [Mutex<()>; STRIPES],
    generations: AtomicU64,
}

impl<N: Notify> Registry<N> {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, hub: &HubName, notify: N) -> Self {
        Self {
            store,
            clock,
            instance: hub.key(),
            notify,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            generations: AtomicU64::new(0),
        }
    }

    pub(crate) async fn get(&self, id: &DeviceId) -> Result<Option<Device>, HubFailure> {
        Ok(self.read(id).await?.map(|(device, _)| device))
    }

    /// The device, or the failure that says it is not there.
    pub(crate) async fn device(&self, id: &DeviceId) -> Result<Device, HubFailure> {
        self.get(id).await?.ok_or_else(|| HubFailure::no_device(id.as_str()))
    }

    /// Makes a device that is not there yet.
    pub(crate) async fn create(&self, id: &DeviceId, input: IdentityInput) -> Result<Device, HubFailure> {
        let _turn = self.turn(id).await;
        let now = self.clock.now();
        let device = Device::create(id.clone(), input, self.generation(now), now)?;
        self.insert(&device).await?;
        Ok(device)
    }

    /// Replaces the identity of a device that is there.
    pub(crate) async fn update(
        &self,
        id: &DeviceId,
        input: &IdentityInput,
        if_match: &IfMatch,
    ) -> Result<Device, HubFailure> {
        let _turn = self.turn(id).await;
        self.change(id, |device, now| {
            allow(if_match, device.etag())?;
            device.update(input.clone(), now)
        })
        .await
    }

    /// Removes a device.
    pub(crate) async fn delete(&self, id: &DeviceId, if_match: &IfMatch) -> Result<(), HubFailure> {
        let _turn = self.turn(id).await;
        for _ in 0..HUB_WRITE_ATTEMPTS {
            let (device, version) = self.read(id).await?.ok_or_else(|| HubFailure::no_device(id.as_str()))?;
            allow(if_match, device.etag())?;
            let write = Write::Delete {
                collection: Collection::HubDevices,
                instance: self.instance.clone(),
                id: id.as_str().to_owned(),
                precondition: Precondition::Matches(version),
            };
            match self.write(id, write).await {
                Ok(()) => {
                    self.notify.deleted(id);
                    return Ok(());
                }
                Err(error) if error.refusal().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(crowded())
    }

    /// Provisioning's write: creates the device or makes its credentials and capabilities equal; what provisioning
    /// does not speak of (status, scope, generation) stays. What is equal already is not written.
    pub(crate) async fn put(&self, wanted: &HubDevice, twin: Option<&HubTwin>) -> Result<Device, HubFailure> {
        let id = &wanted.device_id;
        let _turn = self.turn(id).await;
        let whole = twin.map(|twin| TwinChange {
            tags: Some(twin.tags.clone()),
            desired: Some(twin.desired.clone()),
            reported: (!twin.reported.is_empty()).then(|| twin.reported.clone()),
        });
        if self.read(id).await?.is_none() {
            let now = self.clock.now();
            let mut device =
                Device::create(id.clone(), IdentityInput::from(wanted), self.generation(now), now)?;
            if let Some(change) = &whole {
                replace_twin(&mut device, change, now)?;
            }
            match self.insert(&device).await {
                Err(failure) if failure.code == HubErrorCode::DeviceAlreadyExists => {}
                inserted => return inserted.map(|()| device),
            }
        }
        let mut told = None;
        let device = self
            .change(id, |device, now| {
                let before = device.input();
                let input = IdentityInput {
                    authentication: AuthenticationInput::Given(Authentication::from(&wanted.authentication)),
                    capabilities: wanted.capabilities,
                    ..before
                };
                let mut changed = device.update(input, now)?;
                let version = device.desired().version;
                if let Some(change) = &whole {
                    changed |= replace_twin(device, change, now)?;
                }
                told = (device.desired().version != version)
                    .then(|| (device.desired().version, device.desired().for_device()));
                Ok(changed)
            })
            .await?;
        if let Some((version, told)) = told {
            self.notify.desired(id, version, told);
        }
        Ok(device)
    }

    /// Changes a twin: merges, or with `replace` puts in place.
    pub(crate) async fn change_twin(
        &self,
        id: &DeviceId,
        change: &TwinChange,
        replace: bool,
        if_match: Option<&IfMatch>,
    ) -> Result<Device, HubFailure> {
        let _turn = self.turn(id).await;
        let device = self
            .change(id, |device, now| {
                if let Some(if_match) = if_match {
                    allow(if_match, device.twin_etag())?;
                }
                if replace {
                    force_twin(device, change, now)?;
                } else {
                    merge_twin(device, change, now)?;
                }
                Ok(true)
            })
            .await?;
        if let Some(patch) = &change.desired {
            let version = device.desired().version;
            let told = if replace { device.desired().for_device() } else { told(patch, version) };
            self.notify.desired(id, version, told);
        }
        Ok(device)
    }

    /// The device's own change of its reported properties; gives back their new version.
    pub(crate) async fn report(&self, id: &DeviceId, patch: &Map<String, Value>) -> Result<u64, HubFailure> {
        let _turn = self.turn(id).await;
        let mut version = 0;
        self.change(id, |device, now| {
            device.reported_mut().patch(patch, now, false)?;
            device.twin_changed(false);
            version = device.reported_mut().version;
            Ok(true)
        })
        .await?;
        Ok(version)
    }

    /// Keeps the model that a device says it follows.
    pub(crate) async fn follow_model(&self, id: &DeviceId, model_id: &str) -> Result<(), HubFailure> {
        let _turn = self.turn(id).await;
        self.change(id, |device, _| {
            let changed = device.model_id() != Some(model_id);
            device.set_model_id(Some(model_id));
            Ok(changed)
        })
        .await
        .map(drop)
    }

    /// Shows at most `limit` devices behind `after` in the order of their ids, few at a time, until `take` has had
    /// enough. Gives back the last id shown when there may be more.
    pub(crate) async fn visit(
        &self,
        after: Option<String>,
        limit: usize,
        mut take: impl FnMut(&Device) -> ControlFlow<()> + Send,
    ) -> Result<Option<String>, HubFailure> {
        let (mut last, mut left) = (after, limit);
        while left > 0 {
            let page = Page {
                collection: Collection::HubDevices,
                instance: &self.instance,
                owner: None,
                after: last.as_deref(),
                limit: left.min(HUB_DEVICES_AT_ONCE),
            };
            let found = self.store.page(page).await?;
            if found.is_empty() {
                return Ok(None);
            }
            left -= found.len().min(left);
            for document in &found {
                last = Some(document.id.clone());
                if take(&Device::from_document(document)?).is_break() {
                    return Ok(last);
                }
            }
        }
        Ok(last)
    }

    /// Counts devices; the disabled ones are read to be counted, and there are few.
    pub(crate) async fn counts(&self) -> Result<Counts, HubFailure> {
        let total = self.store.count(Collection::HubDevices, &self.instance).await?;
        let (mut disabled, mut after) = (0_u64, None::<String>);
        loop {
            let page = Page {
                collection: Collection::HubDevices,
                instance: &self.instance,
                owner: Some(DeviceStatus::Disabled.as_str()),
                after: after.as_deref(),
                limit: MAX_PAGE,
            };
            let found = self.store.page(page).await?;
            disabled += found.len() as u64;
            match found.last() {
                Some(last) if found.len() == MAX_PAGE => after = Some(last.id.clone()),
                _ => return Ok(Counts { total: total.max(disabled), disabled }),
            }
        }
    }

    async fn read(&self, id: &DeviceId) -> Result<Option<(Device, Etag)>, HubFailure> {
        let document = self.store.get(Collection::HubDevices, &self.instance, id.as_str()).await?;
        document.map(|found| Ok((Device::from_document(&found)?, found.etag))).transpose()
    }

    async fn insert(&self, device: &Device) -> Result<(), HubFailure> {
        match self.store.write(vec![self.put_write(device, Precondition::Absent)?]).await {
            Err(error) if error.refusal() == Some(Refusal::Exists) => Err(HubFailure::new(
                HubErrorCode::DeviceAlreadyExists,
                "A device with this ID is already registered",
            )),
            written => Ok(written?),
        }
    }

    /// Reads, changes, writes; again when another node was faster. The closure says whether it changed anything.
    async fn change(
        &self,
        id: &DeviceId,
        mut change: impl FnMut(&mut Device, Timestamp) -> Result<bool, HubFailure> + Send,
    ) -> Result<Device, HubFailure> {
        for _ in 0..HUB_WRITE_ATTEMPTS {
            let (before, version) = self.read(id).await?.ok_or_else(|| HubFailure::no_device(id.as_str()))?;
            let mut device = before.clone();
            if !change(&mut device, self.clock.now())? {
                return Ok(device);
            }
            match self.write(id, self.put_write(&device, Precondition::Matches(version))?).await {
                Ok(()) => {
                    let rekeyed = before.authentication != device.authentication;
                    if rekeyed || !device.is_enabled() {
                        self.notify.unwelcome(id);
                    }
                    return Ok(device);
                }
                Err(error) if error.refusal().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(crowded())
    }

    /// Writes a change of a device that may be connected.
    async fn write(&self, id: &DeviceId, write: Write) -> Result<(), StoreError> {
        let mut uncertain = Uncertain { notify: &self.notify, id, armed: true };
        let written = self.store.write(vec![write]).await;
        uncertain.armed = false;
        written
    }

    fn put_write(&self, device: &Device, precondition: Precondition) -> Result<Write, HubFailure> {
        Ok(Write::Put {
            collection: Collection::HubDevices,
            instance: self.instance.clone(),
            document: device.to_document()?,
            precondition,
        })
    }

    /// Waits for this device's turn; a few other devices share the lock.
    async fn turn(&self, id: &DeviceId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        #[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // the remainder is below STRIPES
        let stripe = &self.stripes[hasher.finish() as usize % STRIPES];
        stripe.lock().await
    }

    /// Azure's generation ids count 100 ns steps since year 1; the last digits keep two of one instant apart.
    fn generation(&self, now: Timestamp) -> String {
        let nonce = self.generations.fetch_add(1, Ordering::Relaxed) % 10_000;
        let ticks = now.millis().saturating_add(62_135_596_800_000).saturating_mul(10_000);
        ticks.saturating_add(i64::try_from(nonce).unwrap_or(0)).to_string()
    }
}

/// A caller that goes away while the store writes never learns what was written, and so cannot tell the device. The
/// device then loses its connection; it comes back, is judged again and reads its whole twin.
struct Uncertain<'a, N: Notify> {
    notify: &'a N,
    id: &'a DeviceId,
    armed: bool,
}

impl<N: Notify> Drop for Uncertain<'_, N> {
    fn drop(&mut self) {
        if self.armed {
            self.notify.unwelcome(self.id);
        }
    }
}

/// What a device hears of a patch: the patch itself, nulls included, and the version it led to.
fn told(patch: &Map<String, Value>, version: u64) -> Value {
    let mut told: Map<String, Value> =
        patch.iter().filter(|(key, _)| !key.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect();
    told.insert("$version".into(), version.into());
    Value::Object(told)
}

fn allow(if_match: &IfMatch, current: &Etag) -> Result<(), HubFailure> {
    match if_match {
        IfMatch::Any => Ok(()),
        IfMatch::Tag(tag) if tag == current => Ok(()),
        IfMatch::Tag(_) => Err(HubFailure::precondition()),
    }
}

fn merge_twin(device: &mut Device, change: &TwinChange, now: Timestamp) -> Result<(), HubFailure> {
    if let Some(tags) = &change.tags {
        twin::patch_tags(device.tags_mut(), tags)?;
    }
    if let Some(desired) = &change.desired {
        device.desired_mut().patch(desired, now, true)?;
    }
    if let Some(reported) = &change.reported {
        device.reported_mut().patch(reported, now, false)?;
    }
    device.twin_changed(true);
    Ok(())
}

/// A PUT names the whole twin: a section that it leaves out becomes empty.
fn force_twin(device: &mut Device, change: &TwinChange, now: Timestamp) -> Result<(), HubFailure> {
    let none = Map::new();
    let mut tags = Map::new();
    twin::patch_tags(&mut tags, change.tags.as_ref().unwrap_or(&none))?;
    device.desired_mut().replace(change.desired.as_ref().unwrap_or(&none), now, true)?;
    *device.tags_mut() = tags;
    device.twin_changed(true);
    Ok(())
}

/// Puts the sections in place unless they are so already. True when something changed.
fn replace_twin(device: &mut Device, change: &TwinChange, now: Timestamp) -> Result<bool, HubFailure> {
    let before = device.sections();
    let mut trial = device.clone();
    force_twin(&mut trial, change, now)?;
    if let Some(reported) = change.reported.as_ref().filter(|reported| **reported != before.reported) {
        trial.reported_mut().replace(reported, now, false)?;
    }
    if before == trial.sections() {
        return Ok(false);
    }
    *device = trial;
    Ok(true)
}

fn crowded() -> HubFailure {
    HubFailure::new(HubErrorCode::ThrottlingException, "Too many changes of this device at once. Try again.")
}
