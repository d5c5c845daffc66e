//! The service API: enrollments, enrollment groups and registrations as REST, in Azure's shapes.
//!
//! Owns routes, request and answer bodies, the rights that routes need, and the one event of each call. Must not know
//! listeners, TLS or stores: a request comes in with its `Arc<Channel>` among the extensions, an answer goes out.

mod answer;
mod bulk;
mod call;
pub mod continuation;
mod enrollments;
mod queries;
pub mod query;
mod registrations;
mod reject;
mod request;
mod route;
mod service;

pub use request::Body;
pub use route::claims;
pub use service::ServiceApi;
