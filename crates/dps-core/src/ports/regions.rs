//! The regions port: where a client calls from, and how far a hub is from there. Answered from memory: allocation is pure.

use std::net::IpAddr;

use dps_model::hub::LinkedHub;

/// What is known of networks and distances.
pub trait Regions: Send + Sync + 'static {
    /// The region that a client calls from; none when nobody said.
    fn region_of(&self, client: IpAddr) -> Option<String>;

    /// Round trip in milliseconds from a region to a hub, measured or estimated; none when nothing is known.
    fn latency(&self, region: &str, hub: &LinkedHub) -> Option<u32>;
}

/// Nothing is known: under `geoLatency` all hubs tie.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRegions;

impl Regions for NoRegions {
    fn region_of(&self, _client: IpAddr) -> Option<String> {
        None
    }

    fn latency(&self, _region: &str, _hub: &LinkedHub) -> Option<u32> {
        None
    }
}
