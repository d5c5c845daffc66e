//! Asks hubs that are linked anew whether their link works, before it is kept. Owns which answer keeps a link out: the hub's
//! own word that it refuses the key. One that does not answer may be linked; the probes tell of it.

use std::sync::Arc;
use std::time::Duration;

use dps_core::ports::{HubError, Hubs};
use dps_model::Error;
use dps_model::hub::LinkedHub;
use dps_model::limits::LINK_CHECK_PATIENCE;
use dps_model::member::TARGET;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::wanted::Wanted;

/// Refuses links whose hub refuses them. Without hubs to ask every link is taken.
pub(crate) async fn check(
    hubs: Option<&Arc<dyn Hubs>>,
    wanted: &Wanted,
    kept: &[LinkedHub],
) -> Result<(), Error> {
    let Some(hubs) = hubs else { return Ok(()) };
    let until = Instant::now() + Duration::from_secs(LINK_CHECK_PATIENCE);
    let mut asked = JoinSet::new();
    for (place, link) in wanted.new_links(kept)? {
        let hubs = Arc::clone(hubs);
        asked.spawn(async move {
            let answer = timeout_at(until, hubs.probe(&link)).await;
            (place, link, answer)
        });
    }
    while let Some(answered) = asked.join_next().await {
        if let Ok((place, link, Ok(Err(HubError::Unauthorized(said))))) = answered {
            return Err(refused(place, &link, &said));
        }
    }
    Ok(())
}

fn refused(place: usize, link: &LinkedHub, said: &str) -> Error {
    let path = format!("properties.iotHubs[{place}].connectionString");
    let (hub, policy) = (&link.name, &link.connection.policy);
    let mut error = Error::argument(format!(
        "{path} does not open {hub}: the hub refuses policy {policy} with that key. Take the connection string of a policy \
         with RegistryReadWrite and ServiceConnect."
    ));
    error = error.because(format!("HUB_LINK_UNAUTHORIZED: {path}: {hub} refused the service's key: {said}"));
    error.info.insert(TARGET.to_owned(), path);
    error
}
