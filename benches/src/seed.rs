//! `fill`: a data directory as after years of use, for tests that want much to be there. Owns what is in it; the writing of
//! enrollments is `fill`'s.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use dps_core::ports::{Clock as _, Store as _, SystemClock, Write};
use dps_core::registration::{
    EnrollmentName, Identities, Identity, Proof, RegistrationRecord, name_mechanism,
};
use dps_model::registration::{DeviceRegistrationResult, Status, Substatus};
use dps_model::{HubName, RegistrationId, Timestamp};
use dps_monitor::metrics::{Metric, Rollups, Sample};
use dps_store::{OpenOptions, SqliteStore, StoreState};
use tokio::task::JoinSet;

use crate::devices;
use crate::fill::{AT_ONCE, BATCH, ENROLLED, Enroll, fill};

/// The group that all registrations came by.
const GROUP: &str = "bench-keys";
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Of so many registrations one has failed.
const ONE_FAILED_OF: usize = 97;

/// What to write. No server may have the data directory open.
#[derive(clap::Args, Clone, PartialEq, Eq)]
pub struct Options {
    /// A data directory that a server has made.
    #[arg(long, value_name = "FOLDER")]
    store: PathBuf,
    /// Name of the provisioning service.
    #[arg(long)]
    instance: String,
    /// Host names of the hubs that registrations lie on.
    #[arg(long = "hub", value_name = "HOST", default_value = "hub-1.localhost")]
    hubs: Vec<String>,
    /// Individual enrollments with keys: device-00000000 and on.
    #[arg(long, default_value_t = 0)]
    enrollments: usize,
    /// Enrollment groups with keys: bench-group-000000 and on.
    #[arg(long, default_value_t = 0)]
    groups: usize,
    /// Registrations by the group bench-keys: unit-00000000 and on.
    #[arg(long, default_value_t = 0)]
    registrations: usize,
    /// Days of metrics, up to now.
    #[arg(long, default_value_t = 0)]
    days: u32,
    /// Minutes from one point of them to the next.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: u32,
}

/// Writes all of it.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut enroll = vec![Enroll::Individuals { family: "device", count: options.enrollments }];
        enroll.push(Enroll::KeyGroups(options.groups));
        if options.registrations > 0 {
            enroll.push(Enroll::OneKeyGroup);
        }
        fill(&options.store, &options.instance, &enroll).await?;
        let store = Arc::new(SqliteStore::open(OpenOptions::in_directory(&options.store)).await?);
        registrations(&store, options).await?;
        metrics(&store, options).await?;
        store.close().await?;
        Ok(())
    })
}

async fn registrations(store: &Arc<SqliteStore>, options: &Options) -> Result<()> {
    let hubs: Vec<HubName> =
        options.hubs.iter().map(|hub| HubName::parse(hub)).collect::<Result<_, _>>().context("--hub")?;
    let mut running: JoinSet<Result<()>> = JoinSet::new();
    for start in (0..options.registrations).step_by(BATCH) {
        let numbers = start..options.registrations.min(start + BATCH);
        let writes: Vec<Write> =
            numbers.map(|number| registration(&options.instance, &hubs, number)).collect::<Result<_>>()?;
        let store = Arc::clone(store);
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
    Ok(())
}

fn registration(instance: &str, hubs: &[HubName], number: usize) -> Result<Write> {
    let id = RegistrationId::parse(&devices::name("unit", number))?;
    let since = i64::try_from(number % 80_000)? * MINUTE_MS;
    let time = Some(Timestamp::from_millis(ENROLLED + since));
    let hub = hubs.get(number % hubs.len().max(1)).filter(|_| number % ONE_FAILED_OF != 1);
    let mut state = DeviceRegistrationResult::bare(id.clone(), Status::Failed);
    (state.created_date_time_utc, state.last_updated_date_time_utc) = (time, time);
    if let Some(hub) = hub {
        state.status = Status::Assigned;
        (state.assigned_hub, state.device_id) = (Some(hub.clone()), Some(id.clone().into()));
        state.substatus = Some(Substatus::InitialAssignment);
    } else {
        state.error_code = Some(500_000);
        state.error_message = Some("The hub did not answer.".to_owned());
    }
    let enrollment = EnrollmentName::Group(GROUP.to_owned());
    let proof = Proof::SasToken(String::new());
    name_mechanism(&mut state, &proof, &enrollment, None);
    let home = hub.map(|hub| Identity { hub: hub.clone(), device_id: id.into() });
    let identities = Identities { home, strays: Vec::new() };
    let record = RegistrationRecord { state, enrollment, proof, operation: None, identities, carried: None };
    Ok(record.write(instance, None, None, None)?.0)
}

/// Attempts over every protocol, most of them good, with the days and the nights of a fleet.
async fn metrics(store: &Arc<SqliteStore>, options: &Options) -> Result<()> {
    let state = StoreState::new(Arc::<SqliteStore>::clone(store));
    let rollups = Rollups::new(Arc::new(state));
    let now = SystemClock::new().now();
    let hours = i64::from(options.days) * 24;
    let first = now.millis().div_euclid(HOUR_MS) - hours;
    for hour in first..first + hours {
        for minute in (0..60).step_by(usize::try_from(options.minutes)?) {
            let at = hour * HOUR_MS + minute * MINUTE_MS;
            rollups.sample(&samples(options, hour, minute), Timestamp::from_millis(at));
        }
        // What is over goes out of memory with the flush.
        rollups.flush(Timestamp::from_millis((hour + 3) * HOUR_MS)).await?;
    }
    Ok(())
}

fn samples(options: &Options, hour: i64, minute: i64) -> Vec<Sample> {
    const PROTOCOLS: [&str; 5] = ["Mqtt", "Http", "Amqp", "MqttWs", "AmqpWs"];
    // A wave over the day, and something that no wave has.
    let day = 12 - (hour.rem_euclid(24) - 12).abs();
    let odd = (hour * 31 + minute * 17).rem_euclid(7);
    let mut samples = Vec::new();
    let mut sample = |metric, values: &[&str], value: i64| {
        samples.push(Sample {
            metric,
            service: Some(options.instance.clone()),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            value: f64::from(i32::try_from(value).unwrap_or(i32::MAX)),
        });
    };
    for (weight, protocol) in (1_i64..).zip(PROTOCOLS) {
        sample(Metric::AttestationAttempts, &["Success", protocol], day * weight + odd);
        sample(Metric::AttestationAttempts, &["ClientError", protocol], odd % 3);
    }
    for (weight, hub) in (1_i64..).zip(&options.hubs) {
        sample(Metric::RegistrationAttempts, &[hub, "Success"], day * weight * 5);
    }
    samples
}
