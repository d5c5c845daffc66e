//! `muster serve` as a process: an operator's certificate, a file of settings, a hub that another process is.

mod bad_settings;
mod certificates;
mod destinations;
mod devices;
mod ending;
mod fixture;
mod linked_hubs;
mod regions;
mod settings;
mod small_disk;
#[cfg(feature = "logs")]
mod workspace;
