//! Where diagnostic settings send to besides the built-in workspace: a directory, storage containers, event streams,
//! OpenTelemetry receivers. Owns how each is spoken to and what a record looks like there. Must not know settings,
//! buffers or retries (`dps-monitor`), nor where its own settings come from.

mod azure_blob;
mod directory;
#[cfg(test)]
mod fixtures;
mod http;
mod kafka;
pub mod limits;
mod otlp;
mod record;
mod s3;
mod signing;
mod storage_path;

use std::sync::Arc;

pub use azure_blob::AzureBlob;
pub use directory::Directory;
pub use http::{Http, SetupError, tls};
pub use kafka::{Kafka, KafkaSettings};
pub use otlp::{Otlp, OtlpSettings};
#[cfg(feature = "objects")]
pub use s3::S3Objects;
pub use s3::{Bucket, S3};

/// Where time comes from: signatures bear it.
pub type Now = Arc<dyn Fn() -> dps_model::Timestamp + Send + Sync>;
