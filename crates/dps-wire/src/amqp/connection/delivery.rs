//! Deliveries: transfers in, verdicts out; messages out, verdicts in; credit and windows of both.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::session::{Link, LinkState, Session};
use super::{Connection, ConnectionError, DeliveryId, Event, LinkId, Phase, SendError, SentId};
use crate::amqp::frame::Frame;
use crate::amqp::limits::SESSION_WINDOW;
use crate::amqp::message::Message;
use crate::amqp::performative::{
    AmqpError, DeliveryState, Detach, Disposition, Flow, Performative, Role, SenderSettleMode, Transfer,
};

/// Room for a transfer's header and performative in front of its payload: 8 + 3 + list and its largest fields.
const TRANSFER_OVERHEAD: usize = 64;

/// A message of which more is to come.
#[derive(Debug)]
pub(super) struct Partial {
    delivery: u32,
    settled: bool,
    pub(super) payload: BytesMut,
}

/// A message of ours that is not wholly sent.
#[derive(Debug)]
pub(super) struct Sent {
    id: SentId,
    settled: bool,
    /// Its number, once its first transfer is out.
    delivery: Option<u32>,
    pub(super) payload: Bytes,
}

impl Link {
    /// §2.6.7: the receiver counts from its view of the delivery count.
    pub(super) fn take_credit(&mut self, flow: &Flow) {
        let Some(credit) = flow.link_credit else { return };
        let from = flow.delivery_count.unwrap_or(0);
        let left = from.wrapping_add(credit).wrapping_sub(self.delivery_count);
        // More than was granted: deliveries under way have overtaken it.
        self.credit = if left > credit { 0 } else { left };
    }

    /// Nothing is sent or awaited on it any more.
    pub(super) fn detaching(&mut self) {
        self.state = LinkState::Detaching;
        self.partial = None;
        self.queue = VecDeque::new();
        self.credit = 0;
    }
}

/// What a transfer completes.
enum Arrived {
    Nothing,
    Whole(Partial),
    /// The link must be detached for this.
    Fault(&'static str, &'static str),
}

impl Connection {
    pub(super) fn on_transfer(
        &mut self,
        channel: u16,
        transfer: &Transfer,
        payload: &Bytes,
    ) -> Result<Option<Event>, ConnectionError> {
        let limit = self.config.max_partial;
        let max_message = self.config.max_message_size;
        let session = self.session(channel, "transfer")?;
        session.incoming_window = session.incoming_window.checked_sub(1).ok_or(ConnectionError::Window)?;
        session.next_incoming_id = session.next_incoming_id.wrapping_add(1);
        let handle = transfer.handle;
        let link = session.link(handle);
        let link = link.ok_or(ConnectionError::NoLink { performative: "transfer", handle })?;
        let id = link.id;
        let arrived = link.take(transfer, payload, max_message)?;
        let event = match arrived {
            // Of what was dropped, such as the rest of a message on a link that is being detached, nothing is held.
            Arrived::Nothing if self.held().0 > limit => {
                return Err(ConnectionError::TooMuchUnfinished { limit });
            }
            Arrived::Nothing => None,
            Arrived::Whole(whole) => Some(self.deliver(channel, id, &whole)?),
            Arrived::Fault(condition, description) => {
                let error = AmqpError::new(condition, description);
                self.fault(channel, id, error.clone())?;
                Some(Event::Detached { link: id, error: Some(error) })
            }
        };
        self.renew_window(channel)?;
        if let Some((_, index)) = self.find(id) {
            self.renew_credit(channel, index)?;
        }
        Ok(event)
    }

    /// Detaches a link on which the peer broke the rules.
    fn fault(&mut self, channel: u16, id: LinkId, error: AmqpError) -> Result<(), ConnectionError> {
        let session = self.session(channel, "transfer")?;
        let ours = session.ours;
        session.incoming.retain(|(link, _)| *link != id);
        session.outgoing.retain(|(link, ..)| *link != id);
        let Some(link) = session.links.iter_mut().find(|link| link.id == id) else { return Ok(()) };
        link.detaching();
        let handle = link.ours;
        self.answer(ours, Performative::Detach(Detach { handle, closed: true, error: Some(error) }))
    }

    /// What has come whole is the caller's, bytes that are no message too: who sent them is to be told why.
    fn deliver(&mut self, channel: u16, link: LinkId, whole: &Partial) -> Result<Event, ConnectionError> {
        let session = self.session(channel, "transfer")?;
        if !whole.settled {
            session.incoming.push((link, whole.delivery));
        }
        let id = DeliveryId { link, number: whole.delivery };
        let message = Message::decode(&whole.payload).map(Box::new);
        Ok(Event::Delivery { id, settled: whole.settled, message })
    }

    /// Lets the peer send on before its window is used up.
    fn renew_window(&mut self, channel: u16) -> Result<(), ConnectionError> {
        let session = self.session(channel, "transfer")?;
        if session.incoming_window > SESSION_WINDOW / 2 {
            return Ok(());
        }
        session.incoming_window = SESSION_WINDOW;
        let (ours, flow) = (session.ours, session.flow());
        self.answer(ours, Performative::Flow(flow))
    }

    /// Grants credit again once half of it is used. What waits for our verdict counts as used.
    fn renew_credit(&mut self, channel: u16, index: usize) -> Result<(), ConnectionError> {
        let granted = self.config.link_credit;
        let session = self.session(channel, "transfer")?;
        let about_session = session.flow();
        let waiting =
            |id: LinkId, session: &Session| session.incoming.iter().filter(|(link, _)| *link == id).count();
        let Some(id) = session.links.get(index).map(|link| link.id) else { return Ok(()) };
        let waiting = u32::try_from(waiting(id, session)).unwrap_or(u32::MAX);
        let Some(link) = session.links.get_mut(index) else { return Ok(()) };
        // A message under way has used its credit already.
        let target = granted.saturating_sub(waiting);
        let due = target > link.credit && (target - link.credit).saturating_mul(2) >= granted;
        if link.role != Role::Receiver || !matches!(link.state, LinkState::Attached) || !due {
            return Ok(());
        }
        link.credit = target;
        let flow = link.flow(about_session);
        let ours = session.ours;
        self.answer(ours, Performative::Flow(flow))
    }

    /// Accepts and settles a delivery.
    pub fn accept(&mut self, id: DeliveryId) -> Result<(), SendError> {
        self.settle(id, DeliveryState::Accepted)
    }

    /// Rejects and settles a delivery, and says why.
    pub fn reject(&mut self, id: DeliveryId, error: AmqpError) -> Result<(), SendError> {
        self.settle(id, DeliveryState::Rejected(Some(error)))
    }

    /// Gives a delivery back, settled.
    pub fn release(&mut self, id: DeliveryId) -> Result<(), SendError> {
        self.settle(id, DeliveryState::Released)
    }

    fn settle(&mut self, id: DeliveryId, state: DeliveryState) -> Result<(), SendError> {
        self.expect(Phase::Open)?;
        self.expect_room()?;
        let (session, index) = self.link_mut(id.link).ok_or(SendError::NoDelivery)?;
        let waiting = session.incoming.iter().position(|entry| *entry == (id.link, id.number));
        session.incoming.swap_remove(waiting.ok_or(SendError::NoDelivery)?);
        if session.incoming.is_empty() {
            session.incoming = Vec::new();
        }
        let (ours, theirs) = (session.ours, session.theirs);
        self.put(ours, verdict(id.number, state));
        // There was room, and a flow is small: it cannot fail.
        let _ = self.renew_credit(theirs, index);
        Ok(())
    }

    /// Sends a message on a link that takes from us, or queues it until the peer grants credit. Unless the link
    /// demands otherwise, it is settled when sent if `settled` says so. [`Event::Verdict`] names what this gives
    /// back.
    pub fn send(&mut self, link: LinkId, message: &Message, settled: bool) -> Result<SentId, SendError> {
        self.expect(Phase::Open)?;
        self.expect_room()?;
        let mut payload = BytesMut::new();
        message.encode(&mut payload);
        let (queued, id) = (self.held().1, SentId(self.last_sent.wrapping_add(1)));
        let config = std::sync::Arc::clone(&self.config);
        let (session, index) = self.link_mut(link).ok_or(SendError::NoLink)?;
        let theirs = session.theirs;
        let link = session.links.get_mut(index).ok_or(SendError::NoLink)?;
        if link.role != Role::Sender || !matches!(link.state, LinkState::Attached) {
            return Err(SendError::NoLink);
        }
        let (length, ours) = (payload.len(), config.max_message_size as u64);
        let limit = if link.max_message_size == 0 { ours } else { link.max_message_size.min(ours) };
        if length as u64 > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        if link.queue.len() >= config.max_queued || queued.saturating_add(length) > config.max_queued_bytes {
            return Err(SendError::QueueFull);
        }
        let settled = match link.snd_settle_mode {
            SenderSettleMode::Unsettled => false,
            SenderSettleMode::Settled => true,
            SenderSettleMode::Mixed => settled,
        };
        link.queue.push_back(Sent { id, settled, delivery: None, payload: payload.freeze() });
        self.last_sent = id.0;
        // The session is there; nothing else can fail.
        let _ = self.pump(theirs);
        Ok(id)
    }

    /// Sends what credit and window allow.
    pub(super) fn pump(&mut self, channel: u16) -> Result<(), ConnectionError> {
        let chunk = (self.peer.max_frame as usize).saturating_sub(TRANSFER_OVERHEAD);
        let max_unsettled = self.config.max_unsettled;
        let found = self.sessions.iter_mut().find(|session| session.theirs == channel);
        let session = found.ok_or(ConnectionError::NoSession { performative: "flow", channel })?;
        for index in 0..session.links.len() {
            while let Some(frame) = session.next_transfer(index, chunk, max_unsettled) {
                frame.encode(&mut self.output);
            }
        }
        Ok(())
    }

    pub(super) fn on_disposition(
        &mut self,
        channel: u16,
        disposition: &Disposition,
    ) -> Result<(), ConnectionError> {
        let session = self.session(channel, "disposition")?;
        let first = disposition.first;
        let span = disposition.last.unwrap_or(first).wrapping_sub(first);
        let within = |number: u32| number.wrapping_sub(first) <= span;
        if disposition.role == Role::Sender {
            // The peer forgets what it sent: no verdict of ours matters any more.
            if disposition.settled {
                session.incoming.retain(|(_, number)| !within(*number));
            }
            return Ok(());
        }
        let terminal = !matches!(disposition.state, None | Some(DeliveryState::Received));
        if !disposition.settled && !terminal {
            return Ok(());
        }
        let ours = session.ours;
        let mut settled = Vec::new();
        session.outgoing.retain(|(link, number, sent)| {
            let judged = within(*number);
            if judged {
                settled.push((*link, *number, *sent));
            }
            !judged
        });
        if session.outgoing.is_empty() {
            session.outgoing = Vec::new();
        }
        for (link, number, sent) in settled {
            if !disposition.settled {
                // Receiver settle mode second: the receiver waits for us to settle.
                let done = Disposition {
                    role: Role::Sender,
                    first: number,
                    last: None,
                    settled: true,
                    state: disposition.state.clone(),
                };
                self.answer(ours, Performative::Disposition(done))?;
            }
            self.events.push_back(Event::Verdict { link, sent, state: disposition.state.clone() });
        }
        self.pump(channel)
    }
}

impl Session {
    /// The next transfer of a link's queue, if credit, window and the bound on open verdicts allow one.
    fn next_transfer(&mut self, index: usize, chunk: usize, max_unsettled: usize) -> Option<Frame> {
        let link = self.links.get_mut(index)?;
        if self.remote_window == 0 || !matches!(link.state, LinkState::Attached) {
            return None;
        }
        let sent = link.queue.front_mut()?;
        let begins = sent.delivery.is_none();
        let blocked = link.credit == 0 || (!sent.settled && self.outgoing.len() >= max_unsettled);
        if begins && blocked {
            return None;
        }
        let number = sent.delivery.unwrap_or(self.next_delivery);
        sent.delivery = Some(number);
        let payload = sent.payload.split_to(chunk.min(sent.payload.len()));
        let more = !sent.payload.is_empty();
        let transfer = Transfer {
            handle: link.ours,
            delivery_id: begins.then_some(number),
            delivery_tag: begins.then(|| Bytes::copy_from_slice(&sent.id.0.to_be_bytes())),
            message_format: begins.then_some(0),
            settled: begins.then_some(sent.settled),
            more,
            aborted: false,
        };
        if begins {
            self.next_delivery = number.wrapping_add(1);
            link.credit -= 1;
            link.delivery_count = link.delivery_count.wrapping_add(1);
            if !sent.settled {
                self.outgoing.push((link.id, number, sent.id));
            }
        }
        if !more {
            link.queue.pop_front();
            if link.queue.is_empty() {
                link.queue = VecDeque::new();
            }
        }
        self.remote_window -= 1;
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        Some(Frame { channel: self.ours, performative: Some(Performative::Transfer(transfer)), payload })
    }
}

impl Link {
    /// Adds a transfer to the delivery that it begins or continues.
    fn take(
        &mut self,
        transfer: &Transfer,
        payload: &Bytes,
        max_message: usize,
    ) -> Result<Arrived, ConnectionError> {
        if matches!(self.state, LinkState::Detaching) {
            // It was under way when we detached.
            return Ok(Arrived::Nothing);
        }
        if matches!(self.state, LinkState::Asked(_)) {
            let expected = "its link has no credit, nor an answer to its attach";
            return Err(ConnectionError::Unexpected { performative: "transfer", expected });
        }
        if self.role != Role::Receiver {
            return Ok(Arrived::Fault("amqp:not-allowed", "a receiver sent a transfer"));
        }
        let mut partial = match self.partial.take() {
            Some(partial) if transfer.delivery_id.is_none_or(|id| id == partial.delivery) => *partial,
            Some(_) => return Err(ConnectionError::DeliveryId),
            None => {
                let Some(credit) = self.credit.checked_sub(1) else {
                    let text = "the transfer exceeds the link's credit";
                    return Ok(Arrived::Fault("amqp:link:transfer-limit-exceeded", text));
                };
                self.credit = credit;
                self.delivery_count = self.delivery_count.wrapping_add(1);
                let delivery = transfer.delivery_id.ok_or(ConnectionError::DeliveryId)?;
                Partial { delivery, settled: false, payload: BytesMut::new() }
            }
        };
        partial.settled |= transfer.settled.unwrap_or_default();
        if transfer.aborted {
            return Ok(Arrived::Nothing);
        }
        if partial.payload.len().saturating_add(payload.len()) > max_message {
            let text = "the message is larger than the max-message-size of the link";
            return Ok(Arrived::Fault("amqp:link:message-size-exceeded", text));
        }
        partial.payload.extend_from_slice(payload);
        if transfer.more {
            self.partial = Some(Box::new(partial));
            return Ok(Arrived::Nothing);
        }
        Ok(Arrived::Whole(partial))
    }
}

/// Our verdict about one delivery, settled.
fn verdict(first: u32, state: DeliveryState) -> Performative {
    Performative::Disposition(Disposition {
        role: Role::Receiver,
        first,
        last: Some(first),
        settled: true,
        state: Some(state),
    })
}
