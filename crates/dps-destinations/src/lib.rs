//! Where diagnostic settings send to besides the built-in workspace: a directory, storage containers, event streams,
//! OpenTelemetry receivers. Owns how each is spoken to and what a record looks like there. Must not know settings,
//! buffers or retries (`dps-monitor`), nor where its own settings come from.

mod directory;
#[cfg(test)]
mod fixtures;
pub mod limits;
pub mod record;
mod storage_path;

pub use directory::Directory;
