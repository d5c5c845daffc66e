//! What the core asks of the outside, as traits: store, hubs, webhooks, regions, clock, hosting. Implemented by other
//! crates; the core knows no implementation. The event sink is a port too; it lives with the events
//! (`dps_events::EventSink`).

pub mod clock;
pub mod hosting;
pub mod hub;
pub mod regions;
pub mod store;
pub mod webhook;

pub use clock::{Clock, SystemClock};
pub use hosting::{HostNames, Hosting};
pub use hub::{HubError, Hubs, TwinTaken};
pub use regions::{NoRegions, Regions};
pub use store::{Collection, Document, Page, Precondition, Refusal, Store, StoreError, Write};
pub use webhook::{NoWebhook, Webhook, WebhookAnswer, WebhookError};
