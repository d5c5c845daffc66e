//! Who is on a connection: nobody yet, a device, or a service. Owns how long that holds; must not know links.

use std::sync::Arc;
use std::time::Duration;

use crate::DevHub;
use crate::guest::Guest;
use crate::presence::Command;

/// Who has proven to be on the connection.
pub(super) enum Visitor {
    /// Somebody has to, by this monotonic millisecond.
    Nobody {
        patience: u64,
    },
    Device(Box<Guest>),
    /// It holds the policy's token for this hub until this monotonic millisecond.
    Service {
        hub: Arc<DevHub>,
        expires: u64,
    },
}

impl Visitor {
    pub(super) fn guest(&self) -> Option<&Guest> {
        match self {
            Self::Device(guest) => Some(guest),
            Self::Nobody { .. } | Self::Service { .. } => None,
        }
    }

    pub(super) fn guest_mut(&mut self) -> Option<&mut Guest> {
        match self {
            Self::Device(guest) => Some(guest),
            Self::Nobody { .. } | Self::Service { .. } => None,
        }
    }

    /// Monotonic millisecond at which the connection is over unless there is a newer proof.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self {
            Self::Nobody { patience: until } | Self::Service { expires: until, .. } => Some(*until),
            Self::Device(guest) => guest.expires(),
        }
    }

    /// What the hub wants to tell a device, if one is here; `None` when its place is lost. May be dropped.
    pub(super) async fn command(&mut self) -> Option<Command> {
        match self {
            Self::Device(guest) => guest.command().await,
            Self::Nobody { .. } | Self::Service { .. } => std::future::pending().await,
        }
    }
}

/// Waits until that monotonic millisecond, or for ever.
pub(super) async fn until(now: u64, deadline: Option<u64>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(Duration::from_millis(deadline.saturating_sub(now))).await,
        None => std::future::pending().await,
    }
}
