//! Which link of a connection is for what. At most one of each purpose and direction: a newer one takes the place.

use dps_wire::amqp::connection::LinkId;
use dps_wire::amqp::performative::Role;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tokens, and the answers to them.
    Tokens,
    /// Telemetry.
    Events,
    /// Messages from the cloud.
    DeviceBound,
    /// The twin, both ways.
    Twin,
    /// Direct methods, both ways.
    Methods,
    /// A service's messages to devices.
    CloudToDevice,
}

impl Purpose {
    /// May the peer have this end of such a link?
    pub(super) fn goes(self, peer: Role) -> bool {
        match self {
            Self::Events | Self::CloudToDevice => peer == Role::Sender,
            Self::DeviceBound => peer == Role::Receiver,
            Self::Tokens | Self::Twin | Self::Methods => true,
        }
    }
}

/// The links of a connection; bounded by the engine.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(LinkId, Purpose, Role)>);

impl Links {
    /// Keeps a link; gives back the one whose place it takes.
    pub(super) fn put(&mut self, link: LinkId, purpose: Purpose, peer: Role) -> Option<LinkId> {
        let older = self.find(purpose, peer);
        self.0.retain(|(id, ..)| Some(*id) != older);
        self.0.push((link, purpose, peer));
        older
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Purpose> {
        let at = self.0.iter().position(|(id, ..)| *id == link)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn purpose(&self, link: LinkId) -> Option<Purpose> {
        self.0.iter().find(|(id, ..)| *id == link).map(|(_, purpose, _)| *purpose)
    }

    /// The link of this purpose that the peer receives on.
    pub(super) fn to_peer(&self, purpose: Purpose) -> Option<LinkId> {
        self.find(purpose, Role::Receiver)
    }

    fn find(&self, purpose: Purpose, peer: Role) -> Option<LinkId> {
        self.0.iter().find(|(_, what, role)| (*what, *role) == (purpose, peer)).map(|(id, ..)| *id)
    }
}
