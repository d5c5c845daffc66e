//! Opens the destinations that the file of settings has. Must not know what is sent there.

use std::collections::BTreeMap;
use std::sync::Arc;

use dps_core::ports::Clock;
use dps_destinations::{AzureBlob, Directory, Http, Kafka, Now, Otlp, S3, SetupError};
#[cfg(feature = "logs")]
use dps_destinations::{Bucket, S3Objects};
use dps_model::Timestamp;
use dps_monitor::destinations::Destination;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::{DestinationKind, DestinationSettings};

/// Destinations by the id that settings name, in lower case.
pub type Opened = BTreeMap<String, Arc<dyn Destination>>;

/// Opens all of them; nobody is asked anything yet.
pub fn open(settings: &[DestinationSettings], clock: &Arc<dyn Clock>) -> anyhow::Result<Opened> {
    let mut all = Opened::new();
    for one in settings {
        let clock = Arc::clone(clock);
        let opened = destination(one, Arc::new(move || clock.now()));
        let opened = opened.map_err(|error| anyhow::anyhow!("the destination {}: {error}", one.id))?;
        all.insert(one.id.clone(), opened);
    }
    Ok(all)
}

/// Can it be opened?
pub fn check(settings: &DestinationSettings) -> Result<(), String> {
    let now: Now = Arc::new(|| Timestamp::from_millis(0));
    destination(settings, now).map(drop).map_err(|error| error.to_string())
}

/// The bucket of a destination, as a place of files of rows; it is asked on this runtime.
#[cfg(feature = "logs")]
pub fn objects(settings: &DestinationSettings, clock: &Arc<dyn Clock>) -> anyhow::Result<S3Objects> {
    let DestinationKind::S3(bucket) = &settings.kind else {
        anyhow::bail!("the destination {} is no bucket", settings.id);
    };
    let roots = CertificateDer::pem_slice_iter(&settings.trusted).collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (clock, prefix) = (Arc::clone(clock), format!("{}workspace/", bucket.prefix));
    let bucket = Bucket { prefix, ..bucket.as_ref().clone() };
    let http = Http::new(dps_destinations::tls(provider, roots)?)?;
    Ok(S3Objects::new(bucket, http, Arc::new(move || clock.now()))?)
}

fn destination(settings: &DestinationSettings, now: Now) -> Result<Arc<dyn Destination>, SetupError> {
    let roots = CertificateDer::pem_slice_iter(&settings.trusted).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|error| SetupError(format!("trusted_ca cannot be read: {error}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = || dps_destinations::tls(provider, roots);
    Ok(match &settings.kind {
        DestinationKind::Directory(path) => Arc::new(Directory::new(path.clone())),
        DestinationKind::AzureBlob(connection_string) => {
            Arc::new(AzureBlob::new(connection_string, Http::new(tls()?)?, now)?)
        }
        DestinationKind::S3(bucket) => Arc::new(S3::new(bucket.as_ref().clone(), Http::new(tls()?)?, now)?),
        DestinationKind::EventHubs(connection_string) => {
            Arc::new(Kafka::event_hubs(connection_string, tls()?)?)
        }
        DestinationKind::Kafka(cluster) => Arc::new(Kafka::new(cluster, tls()?)?),
        DestinationKind::Otlp(receiver) => Arc::new(Otlp::new(receiver, Http::new(tls()?)?)?),
    })
}
