//! The service API called in-process, over the real core and a store in memory.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod access_page;
mod audit;
mod bed;
mod bodies;
mod bulk;
mod concurrency;
mod events;
mod issuer;
mod malformed;
mod queries;
mod query_page;
mod query_properties;
mod registrations;
mod rights;
mod service_page;
mod throttled;
