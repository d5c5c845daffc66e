//! The control plane: provisioning services, their keys and their CA certificates as resources of Azure Resource Manager
//! (`Microsoft.Devices/provisioningServices`), in ARM's shapes, what `Microsoft.Insights` knows of them, and `Muster.Diagnosis`, our own provider for operators.
//!
//! Owns routes, request and answer bodies, asynchronous operations, and the one event of each call. Must not know
//! listeners, TLS, stores, tokens or roles: a request comes in with its `Arc<Channel>` among the extensions, an answer
//! goes out.

mod answer;
mod api_version;
mod call;
mod certificates;
mod description;
pub mod diagnosis;
mod hubs;
mod insights;
mod instance_resources;
mod keys;
mod links;
pub mod logs;
mod network;
mod operations;
pub mod portal;
mod private_link;
mod provider;
mod provisioning_services;
mod reject;
mod request;
pub mod resource_id;
mod route;
mod service;
pub mod wanted;

pub use diagnosis::{Diagnosis, Explain};
pub use insights::Insights;
pub use instance_resources::InstanceResources;
pub use request::Body;
pub use route::{ROUTES, Row, claims};
pub use service::ManagementApi;
