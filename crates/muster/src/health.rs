//! `muster health`: asks a running server how it is, for containers that have no other program in them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use dps_model::limits;

use crate::cli::HealthOptions;

/// Prints the answer; an error unless it is a success.
pub async fn run(options: &HealthOptions) -> anyhow::Result<()> {
    let failed = || format!("{} does not answer", options.url);
    // The plain listener alone has these routes: nothing is trusted, and nobody is followed elsewhere.
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(limits::HEALTH_TIMEOUT))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_only([])
        .build()?;
    let answer = client.get(&options.url).send().await.with_context(failed)?;
    let status = answer.status();
    println!("{}", answer.text().await.with_context(failed)?);
    if !status.is_success() {
        bail!("{} answers {}", options.url, status.as_u16());
    }
    Ok(())
}
