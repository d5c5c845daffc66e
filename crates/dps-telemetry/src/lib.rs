//! Muster's own telemetry over OTLP (OpenTelemetry Protocol 1.x, binary protobuf): a span for each event and its steps, and
//! all metrics. Owns what is exported, and its queue, batches and retries; must not know HTTP, settings files, or who emits
//! events. Resource logs leave by diagnostic settings instead.

mod exporter;
mod limits;
mod metrics;
mod open_metrics;
mod spans;

pub use exporter::{Counts, Exporter, Post, PostFailed, Rendered, Settings, Signal};
