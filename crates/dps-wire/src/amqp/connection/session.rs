//! Sessions and links: begin, attach, flow, detach, end, and the caller's verdicts about links.

use std::collections::VecDeque;

use super::delivery::{Partial, Sent};
use super::{Connection, ConnectionError, Event, LinkId, Phase, SendError, SentId};
use crate::amqp::limits::SESSION_WINDOW;
use crate::amqp::performative::{
    AmqpError, Attach, Begin, Detach, Flow, Performative, ReceiverSettleMode, Role, SenderSettleMode,
};

/// A session that the peer began.
#[derive(Debug)]
pub(super) struct Session {
    /// The peer's channel.
    pub(super) theirs: u16,
    /// Our channel.
    pub(super) ours: u16,
    pub(super) next_incoming_id: u32,
    pub(super) incoming_window: u32,
    pub(super) next_outgoing_id: u32,
    pub(super) next_delivery: u32,
    pub(super) remote_window: u32,
    handle_max: u32,
    pub(super) links: Vec<Link>,
    /// Deliveries that wait for our verdict; bounded by the credit of the links.
    pub(super) incoming: Vec<(LinkId, u32)>,
    /// Messages that wait for the peer's verdict.
    pub(super) outgoing: Vec<(LinkId, u32, SentId)>,
}

/// A link that the peer attached.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// The peer's handle.
    theirs: u32,
    /// Ours.
    pub(super) ours: u32,
    /// Our end.
    pub(super) role: Role,
    pub(super) state: LinkState,
    pub(super) snd_settle_mode: SenderSettleMode,
    /// The peer's bound; 0 for none.
    pub(super) max_message_size: u64,
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// What came of a message so far.
    pub(super) partial: Option<Box<Partial>>,
    /// What waits for credit.
    pub(super) queue: VecDeque<Sent>,
}

#[derive(Debug)]
pub(super) enum LinkState {
    /// The caller decides; the peer's ATTACH is kept to be echoed.
    Asked(Box<Attach>),
    Attached,
    /// We sent DETACH and wait for the peer's.
    Detaching,
}

impl Session {
    pub(super) fn link(&mut self, handle: u32) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.theirs == handle)
    }

    /// What every flow says about the session.
    pub(super) fn flow(&self) -> Flow {
        Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: self.incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: SESSION_WINDOW,
            ..Flow::default()
        }
    }

    /// Forgets a link and what belongs to it.
    fn remove(&mut self, id: LinkId) -> Option<Link> {
        self.incoming.retain(|(link, _)| *link != id);
        self.outgoing.retain(|(link, ..)| *link != id);
        let index = self.links.iter().position(|link| link.id == id)?;
        Some(self.links.swap_remove(index))
    }
}

impl Link {
    /// What a flow says about the link.
    pub(super) fn flow(&self, session: Flow) -> Flow {
        Flow {
            handle: Some(self.ours),
            delivery_count: Some(self.delivery_count),
            link_credit: Some(self.credit),
            available: (self.role == Role::Sender)
                .then(|| u32::try_from(self.queue.len()).unwrap_or(u32::MAX)),
            ..session
        }
    }
}

/// The lowest number up to `limit` that is not taken.
fn lowest_free(taken: &[u32], limit: u32) -> Option<u32> {
    // One more candidate than there are taken numbers is always enough.
    let last = u32::try_from(taken.len()).unwrap_or(u32::MAX).min(limit);
    (0..=last).find(|number| !taken.contains(number))
}

impl Connection {
    pub(super) fn session(
        &mut self,
        channel: u16,
        performative: &'static str,
    ) -> Result<&mut Session, ConnectionError> {
        let found = self.sessions.iter_mut().find(|session| session.theirs == channel);
        found.ok_or(ConnectionError::NoSession { performative, channel })
    }

    pub(super) fn on_begin(&mut self, channel: u16, begin: Begin) -> Result<(), ConnectionError> {
        let unexpected = |expected| ConnectionError::Unexpected { performative: "begin", expected };
        if begin.remote_channel.is_some() {
            return Err(unexpected("it answers a begin that was never sent"));
        }
        if channel > self.config.channel_max {
            return Err(ConnectionError::Channel { channel, limit: self.config.channel_max });
        }
        if self.sessions.iter().any(|session| session.theirs == channel) {
            return Err(unexpected("its channel has a session already"));
        }
        if self.sessions.len() >= self.config.max_sessions {
            return Err(ConnectionError::TooManySessions { limit: self.config.max_sessions });
        }
        let taken: Vec<u32> = self.sessions.iter().map(|session| session.ours.into()).collect();
        let ours =
            lowest_free(&taken, self.peer.channel_max.into()).and_then(|free| u16::try_from(free).ok());
        let ours = ours.ok_or(ConnectionError::TooManySessions { limit: taken.len() })?;
        self.answer(
            ours,
            Performative::Begin(Begin {
                remote_channel: Some(channel),
                next_outgoing_id: 0,
                incoming_window: SESSION_WINDOW,
                outgoing_window: SESSION_WINDOW,
                handle_max: self.config.handle_max,
            }),
        )?;
        self.sessions.reserve_exact(1);
        self.sessions.push(Session {
            theirs: channel,
            ours,
            next_incoming_id: begin.next_outgoing_id,
            incoming_window: SESSION_WINDOW,
            next_outgoing_id: 0,
            next_delivery: 0,
            remote_window: begin.incoming_window,
            handle_max: begin.handle_max,
            links: Vec::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn on_attach(&mut self, channel: u16, attach: Box<Attach>) -> Result<Event, ConnectionError> {
        let (links, limit, handle_max) = (self.links(), self.config.max_links, self.config.handle_max);
        let id = LinkId(self.last_link.wrapping_add(1));
        let session = self.session(channel, "attach")?;
        let handle = attach.handle;
        if handle > handle_max {
            return Err(ConnectionError::Handle { handle, limit: handle_max });
        }
        if session.link(handle).is_some() {
            return Err(ConnectionError::HandleInUse { handle });
        }
        let taken: Vec<u32> = session.links.iter().map(|link| link.ours).collect();
        let ours = lowest_free(&taken, session.handle_max);
        let (Some(ours), true) = (ours, links < limit) else {
            return Err(ConnectionError::TooManyLinks { limit: links });
        };
        session.links.reserve_exact(1);
        session.links.push(Link {
            id,
            theirs: handle,
            ours,
            role: attach.role.other(),
            state: LinkState::Asked(attach.clone()),
            snd_settle_mode: attach.snd_settle_mode,
            max_message_size: attach.max_message_size.unwrap_or_default(),
            delivery_count: match attach.role {
                Role::Sender => attach.initial_delivery_count.unwrap_or_default(),
                Role::Receiver => 0,
            },
            credit: 0,
            partial: None,
            queue: VecDeque::new(),
        });
        self.last_link = id.0;
        Ok(Event::Attach { link: id, attach })
    }

    /// Where a link is: (index of its session, index in it).
    pub(super) fn find(&self, id: LinkId) -> Option<(usize, usize)> {
        self.sessions.iter().enumerate().find_map(|(at, session)| {
            session.links.iter().position(|link| link.id == id).map(|index| (at, index))
        })
    }

    pub(super) fn link_mut(&mut self, id: LinkId) -> Option<(&mut Session, usize)> {
        let (at, index) = self.find(id)?;
        self.sessions.get_mut(at).map(|session| (session, index))
    }

    /// Accepts a link that was asked for: its source and target are echoed, and a link that sends to us gets its
    /// credit at once.
    pub fn accept_link(&mut self, id: LinkId) -> Result<(), SendError> {
        self.expect(Phase::Open)?;
        self.expect_room()?;
        let config = std::sync::Arc::clone(&self.config);
        let (session, index) = self.link_mut(id).ok_or(SendError::NoLink)?;
        let link = session.links.get_mut(index).ok_or(SendError::NoLink)?;
        let LinkState::Asked(asked) = &mut link.state else { return Err(SendError::WrongMoment) };
        let reply = Attach {
            handle: link.ours,
            role: link.role,
            rcv_settle_mode: match link.role {
                // What we receive, we settle at once.
                Role::Receiver => ReceiverSettleMode::First,
                Role::Sender => asked.rcv_settle_mode,
            },
            initial_delivery_count: (link.role == Role::Sender).then_some(0),
            max_message_size: Some(config.max_message_size as u64),
            name: std::mem::take(&mut asked.name),
            source: asked.source.take(),
            target: asked.target.take(),
            snd_settle_mode: asked.snd_settle_mode,
            properties: Vec::new(),
        };
        link.state = LinkState::Attached;
        let receives = link.role == Role::Receiver;
        if receives {
            link.credit = config.link_credit;
        }
        let channel = session.ours;
        let credit = session.links.get(index).map(|link| link.flow(session.flow()));
        self.put(channel, Performative::Attach(Box::new(reply)));
        if let Some(flow) = credit.filter(|_| receives) {
            self.put(channel, Performative::Flow(flow));
        }
        Ok(())
    }

    /// Refuses a link that was asked for (§2.6.3): ATTACH without the end that was asked for, then DETACH with the
    /// error.
    pub fn refuse_link(&mut self, id: LinkId, error: AmqpError) -> Result<(), SendError> {
        self.expect(Phase::Open)?;
        self.expect_room()?;
        let (session, index) = self.link_mut(id).ok_or(SendError::NoLink)?;
        let link = session.links.get_mut(index).ok_or(SendError::NoLink)?;
        let LinkState::Asked(asked) = &link.state else { return Err(SendError::WrongMoment) };
        let (reply, handle) = (refusal(asked, link), link.ours);
        link.state = LinkState::Detaching;
        let channel = session.ours;
        self.put(channel, Performative::Attach(Box::new(reply)));
        self.put(channel, Performative::Detach(Detach { handle, closed: true, error: Some(error) }));
        Ok(())
    }

    /// Detaches a link for good. No event of it comes any more.
    pub fn detach_link(&mut self, id: LinkId, error: Option<AmqpError>) -> Result<(), SendError> {
        self.expect(Phase::Open)?;
        self.expect_room()?;
        let (session, index) = self.link_mut(id).ok_or(SendError::NoLink)?;
        let link = session.links.get_mut(index).ok_or(SendError::NoLink)?;
        let LinkState::Attached = link.state else { return Err(SendError::WrongMoment) };
        let handle = link.ours;
        link.detaching();
        session.incoming.retain(|(link, _)| *link != id);
        session.outgoing.retain(|(link, ..)| *link != id);
        let channel = session.ours;
        self.put(channel, Performative::Detach(Detach { handle, closed: true, error }));
        Ok(())
    }

    pub(super) fn on_flow(&mut self, channel: u16, flow: &Flow) -> Result<(), ConnectionError> {
        let session = self.session(channel, "flow")?;
        // §2.5.6: counted from the first id when the peer had not seen our begin.
        let expected = flow.next_incoming_id.unwrap_or(0);
        session.remote_window =
            expected.wrapping_add(flow.incoming_window).wrapping_sub(session.next_outgoing_id);
        // Behind what is under way already: nothing fits.
        if session.remote_window > flow.incoming_window {
            session.remote_window = 0;
        }
        let (ours, about_session) = (session.ours, session.flow());
        let mut reply = flow.echo.then_some(about_session);
        if let Some(handle) = flow.handle {
            let performative = "flow";
            let link = session.link(handle).ok_or(ConnectionError::NoLink { performative, handle })?;
            if link.role == Role::Sender && !matches!(link.state, LinkState::Detaching) {
                link.take_credit(flow);
            }
            reply = reply.map(|flow| link.flow(flow));
        }
        self.pump(channel)?;
        if let Some(handle) = flow.handle.filter(|_| flow.drain) {
            reply = self.drain(channel, handle).or(reply);
        }
        match reply {
            Some(flow) => self.answer(ours, Performative::Flow(flow)),
            None => Ok(()),
        }
    }

    /// Uses up what the queue left of a link's credit (§2.6.7).
    fn drain(&mut self, channel: u16, handle: u32) -> Option<Flow> {
        let session = self.session(channel, "flow").ok()?;
        let about_session = session.flow();
        let link = session.link(handle)?;
        if link.role != Role::Sender || !matches!(link.state, LinkState::Attached) {
            return None;
        }
        link.delivery_count = link.delivery_count.wrapping_add(link.credit);
        link.credit = 0;
        Some(Flow { drain: true, ..link.flow(about_session) })
    }

    pub(super) fn on_detach(
        &mut self,
        channel: u16,
        detach: Detach,
    ) -> Result<Option<Event>, ConnectionError> {
        let session = self.session(channel, "detach")?;
        let (ours, handle) = (session.ours, detach.handle);
        let found = session.link(handle).map(|link| link.id);
        let id = found.ok_or(ConnectionError::NoLink { performative: "detach", handle })?;
        let Some(link) = session.remove(id) else { return Ok(None) };
        let reply = Detach { handle: link.ours, closed: detach.closed, error: None };
        match &link.state {
            LinkState::Detaching => return Ok(None),
            LinkState::Attached => {}
            LinkState::Asked(asked) => {
                // The handle must be attached before it can be detached.
                let attach = refusal(asked, &link);
                self.answer(ours, Performative::Attach(Box::new(attach)))?;
            }
        }
        self.answer(ours, Performative::Detach(reply))?;
        Ok(Some(Event::Detached { link: id, error: detach.error }))
    }

    pub(super) fn on_end(&mut self, channel: u16, error: Option<&AmqpError>) -> Result<(), ConnectionError> {
        let ours = self.session(channel, "end")?.ours;
        let Some(index) = self.sessions.iter().position(|session| session.theirs == channel) else {
            return Ok(());
        };
        let session = self.sessions.swap_remove(index);
        let live = session.links.iter().filter(|link| !matches!(link.state, LinkState::Detaching));
        self.events.extend(live.map(|link| Event::Detached { link: link.id, error: error.cloned() }));
        self.answer(ours, Performative::End(None))
    }
}

/// ATTACH without the end that was asked for.
fn refusal(asked: &Attach, link: &Link) -> Attach {
    let ours_is_sender = link.role == Role::Sender;
    Attach {
        name: asked.name.clone(),
        handle: link.ours,
        role: link.role,
        snd_settle_mode: asked.snd_settle_mode,
        rcv_settle_mode: asked.rcv_settle_mode,
        source: asked.source.clone().filter(|_| !ours_is_sender),
        target: asked.target.clone().filter(|_| ours_is_sender),
        initial_delivery_count: ours_is_sender.then_some(0),
        max_message_size: None,
        properties: Vec::new(),
    }
}
