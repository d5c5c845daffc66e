//! The commands that watch, run as a person runs them: the binary, its output, its exit status.

mod alerts;
mod fake;
#[cfg(feature = "logs")]
mod guide;
mod logs;
mod metrics;
mod tail;
