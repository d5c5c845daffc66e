//! `muster demo`: a provisioning service, a hub and a few devices, played through in one go.

use crate::cli::DevOptions;

/// Runs the demonstration.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    crate::dev::run(options).await
}
