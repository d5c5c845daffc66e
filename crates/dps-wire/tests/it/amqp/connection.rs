//! After OPEN: sessions, links, credit, windows, deliveries, and what breaks the rules.

use dps_wire::amqp::connection::{Config, Connection, ConnectionError, Event, SendError};
use dps_wire::amqp::frame::Frame;
use dps_wire::amqp::message::{Body, Message};
use dps_wire::amqp::performative::{
    AmqpError, Attach, Begin, DeliveryState, Detach, Disposition, Flow, Open, Performative, Role,
    SenderSettleMode, Transfer,
};

use super::peer::{ADDRESS, Peer, begin, bytes_of, config, credit, first, receiver, sender};

fn conditions(heard: &[Performative]) -> Vec<String> {
    let error = |performative: &Performative| match performative {
        Performative::Detach(Detach { error: Some(error), .. }) => Some(error.condition.to_string()),
        _ => None,
    };
    heard.iter().filter_map(error).collect()
}

fn flows(heard: &[Performative]) -> Vec<Flow> {
    let flow = |performative: &Performative| match performative {
        Performative::Flow(flow) => Some(*flow),
        _ => None,
    };
    heard.iter().filter_map(flow).collect()
}

fn delivery(outcome: Result<Option<Event>, ConnectionError>) -> dps_wire::amqp::connection::DeliveryId {
    match outcome {
        Ok(Some(Event::Delivery { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn accepted_sender_is_echoed_and_has_credit_at_once() {
    let mut peer = Peer::begun(config());
    let link = peer.attach(sender(3));
    peer.connection.accept_link(link).expect("it is asked for");
    let heard = peer.heard();
    let [Performative::Attach(attach), Performative::Flow(flow)] = &heard[..] else { panic!("{heard:?}") };
    let asked = sender(3);
    assert_eq!((attach.role, attach.handle, attach.max_message_size), (Role::Receiver, 0, Some(65_536)));
    assert_eq!((&attach.name, &attach.source, &attach.target), (&asked.name, &asked.source, &asked.target));
    assert_eq!((flow.handle, flow.link_credit, flow.delivery_count), (Some(0), Some(16), Some(0)));
    assert_eq!(peer.connection.accept_link(link), Err(SendError::WrongMoment));
}

#[test]
fn accepted_receiver_gets_an_initial_delivery_count_and_no_credit() {
    let mut peer = Peer::begun(config());
    let link = peer.attach(receiver(0));
    peer.connection.accept_link(link).expect("it is asked for");
    let heard = peer.heard();
    let [Performative::Attach(attach)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((attach.role, attach.initial_delivery_count), (Role::Sender, Some(0)));
}

#[test]
fn refused_link_is_attached_without_its_end_and_detached_with_the_error() {
    for asked in [sender(0), receiver(0)] {
        let mut peer = Peer::begun(config());
        let link = peer.attach(asked.clone());
        let error = AmqpError::new("amqp:not-found", "{}");
        peer.connection.refuse_link(link, error.clone()).expect("it is asked for");
        let heard = peer.heard();
        let [Performative::Attach(attach), Performative::Detach(detach)] = &heard[..] else {
            panic!("{heard:?}")
        };
        match asked.role {
            Role::Sender => assert_eq!((&attach.source, &attach.target), (&asked.source, &None)),
            Role::Receiver => assert_eq!((&attach.source, &attach.target), (&None, &asked.target)),
        }
        assert_eq!(*detach, Detach { handle: 0, closed: true, error: Some(error) });
        assert_eq!(peer.say(Performative::Flow(Flow { handle: Some(0), ..Flow::default() })), Ok(None));
        assert_eq!(peer.say(Performative::Detach(Detach { handle: 0, closed: true, error: None })), Ok(None));
        assert_eq!((peer.heard(), peer.connection.links()), (Vec::new(), 0));
    }
}

#[test]
fn link_detached_before_its_verdict_is_attached_first() {
    let mut peer = Peer::begun(config());
    let link = peer.attach(sender(0));
    let event = peer.say(Performative::Detach(Detach { handle: 0, closed: true, error: None }));
    assert_eq!(event, Ok(Some(Event::Detached { link, error: None })));
    let heard = peer.heard();
    assert!(matches!(heard[..], [Performative::Attach(_), Performative::Detach(_)]), "{heard:?}");
    assert_eq!(peer.connection.accept_link(link), Err(SendError::NoLink));
}

#[test]
fn credit_is_renewed_when_half_is_settled_and_not_before() {
    let (mut peer, _) = Peer::linked(Config { link_credit: 4, ..config() }, sender(0));
    let ids: Vec<_> = (0..4).map(|id| delivery(peer.message(id))).collect();
    assert_eq!(peer.heard(), []);
    peer.connection.accept(ids[1]).expect("it waits");
    assert_eq!(flows(&peer.heard()), []);
    peer.connection.accept(ids[0]).expect("it waits");
    let flows = flows(&peer.heard());
    assert_eq!((flows[0].link_credit, flows[0].delivery_count), (Some(2), Some(4)));
    assert_eq!(peer.connection.accept(ids[0]), Err(SendError::NoDelivery));
}

#[test]
fn transfer_beyond_the_credit_detaches_the_link() {
    let (mut peer, link) = Peer::linked(Config { link_credit: 1, ..config() }, sender(0));
    delivery(peer.message(0));
    assert!(
        matches!(peer.message(1), Ok(Some(Event::Detached { link: gone, error: Some(_) })) if gone == link)
    );
    assert_eq!(conditions(&peer.heard()), ["amqp:link:transfer-limit-exceeded"]);
    // What was under way is read over.
    assert_eq!(peer.message(2), Ok(None));
}

#[test]
fn verdict_says_what_the_caller_says() {
    let (mut peer, _) = Peer::linked(config(), sender(0));
    let error = AmqpError::new("com.microsoft:argument-error", "{}");
    for (id, state) in
        [DeliveryState::Accepted, DeliveryState::Rejected(Some(error.clone())), DeliveryState::Released]
            .into_iter()
            .enumerate()
    {
        let number = u32::try_from(id).expect("small");
        let id = delivery(peer.message(number));
        match &state {
            DeliveryState::Accepted => peer.connection.accept(id),
            DeliveryState::Rejected(_) => peer.connection.reject(id, error.clone()),
            _ => peer.connection.release(id),
        }
        .expect("it waits");
        let said = Disposition {
            role: Role::Receiver,
            first: number,
            last: Some(number),
            settled: true,
            state: Some(state),
        };
        assert_eq!(peer.heard(), [Performative::Disposition(said)]);
    }
}

#[test]
fn message_over_several_transfers_is_one_delivery() {
    let (mut peer, _) = Peer::linked(config(), sender(0));
    let whole = bytes_of(&Message::data(vec![7; 300]));
    assert_eq!(peer.transfer(Transfer { more: true, ..first(9) }, whole.slice(..100)), Ok(None));
    let next = Transfer { handle: 0, more: true, ..Transfer::default() };
    assert_eq!(peer.transfer(next, whole.slice(100..200)), Ok(None));
    let Ok(Some(Event::Delivery { message: Ok(message), settled: false, .. })) =
        peer.transfer(Transfer { delivery_id: Some(9), ..Transfer::default() }, whole.slice(200..))
    else {
        panic!("the last transfer completes it")
    };
    assert_eq!(message.body, Body::Data(vec![7; 300].into()));
}

#[test]
fn delivery_that_is_aborted_is_forgotten() {
    let (mut peer, _) = Peer::linked(config(), sender(0));
    assert_eq!(peer.transfer(Transfer { more: true, ..first(0) }, "x"), Ok(None));
    assert_eq!(peer.transfer(Transfer { aborted: true, ..Transfer::default() }, ""), Ok(None));
    delivery(peer.message(1));
}

#[test]
fn message_beyond_its_bound_detaches_the_link() {
    let (mut peer, _) = Peer::linked(Config { max_message_size: 150, ..config() }, sender(0));
    assert_eq!(peer.transfer(Transfer { more: true, ..first(0) }, vec![0; 100]), Ok(None));
    let more = Transfer { more: true, ..Transfer::default() };
    assert!(matches!(peer.transfer(more, vec![0; 100]), Ok(Some(Event::Detached { .. }))));
    assert_eq!(conditions(&peer.heard()), ["amqp:link:message-size-exceeded"]);
}

#[test]
fn rest_of_a_message_on_a_detached_link_fills_no_bound() {
    let config = Config { max_message_size: 150, max_partial: 150, ..config() };
    let (mut peer, _) = Peer::linked(config, sender(0));
    let other = peer.attach(sender(1));
    peer.connection.accept_link(other).expect("it is asked for");
    assert_eq!(peer.transfer(Transfer { handle: 1, more: true, ..first(0) }, vec![0; 100]), Ok(None));
    let more = || Transfer { more: true, ..Transfer::default() };
    let large = peer.transfer(Transfer { more: true, ..first(1) }, vec![0; 151]);
    assert!(matches!(large, Ok(Some(Event::Detached { .. }))), "{large:?}");
    // It was under way when we detached.
    assert_eq!(peer.transfer(more(), vec![0; 100]), Ok(None));
    let rest = Transfer { handle: 1, ..Transfer::default() };
    assert!(matches!(peer.transfer(rest, ""), Ok(Some(Event::Delivery { .. }))));
}

#[test]
fn unfinished_messages_are_bounded_over_all_links() {
    let mut peer = Peer::begun(Config { max_partial: 250, ..config() });
    for handle in 0..3 {
        let link = peer.attach(sender(handle));
        peer.connection.accept_link(link).expect("it is asked for");
        let outcome = peer.transfer(Transfer { handle, more: true, ..first(handle) }, vec![0; 100]);
        let due = if handle < 2 { Ok(None) } else { Err(ConnectionError::TooMuchUnfinished { limit: 250 }) };
        assert_eq!(outcome, due);
    }
    assert_eq!(peer.closed_for(), "amqp:resource-limit-exceeded");
}

#[test]
fn message_beyond_its_bound_faults_its_link_also_before_its_last_transfer() {
    let bounds = Config { max_message_size: 100, max_partial: 100, ..config() };
    let (mut peer, link) = Peer::linked(bounds, sender(0));
    let more = Transfer { more: true, ..first(0) };
    assert_eq!(peer.transfer(more.clone(), vec![0; 60]), Ok(None));
    let rest = Transfer { delivery_id: None, delivery_tag: None, message_format: None, ..more };
    let Ok(Some(Event::Detached { link: faulted, error: Some(error) })) = peer.transfer(rest, vec![0; 60])
    else {
        panic!("no fault")
    };
    assert_eq!((faulted, error.condition.as_str()), (link, "amqp:link:message-size-exceeded"));
    assert!(peer.connection.is_open());
}

#[test]
fn bytes_that_are_no_message_wait_for_a_verdict_and_the_link_lives() {
    let (mut peer, _) = Peer::linked(config(), sender(0));
    let Ok(Some(Event::Delivery { id, settled: false, message: Err(_) })) =
        peer.transfer(first(0), "nonsense")
    else {
        panic!("no delivery")
    };
    assert!(peer.heard().is_empty(), "the verdict is the caller's");
    peer.connection.reject(id, AmqpError::new("amqp:decode-error", "why")).expect("it waits");
    let heard = peer.heard();
    let [Performative::Disposition(said)] = &heard[..] else { panic!("{heard:?}") };
    let Some(DeliveryState::Rejected(Some(error))) = &said.state else { panic!("{said:?}") };
    assert_eq!((error.condition.as_str(), said.settled), ("amqp:decode-error", true));
    delivery(peer.message(1));
}

#[test]
fn window_is_renewed_before_it_is_used_up() {
    let (mut peer, _) = Peer::linked(config(), sender(0));
    for _ in 0..512 {
        let empty = Transfer { more: true, ..first(0) };
        assert_eq!(peer.transfer(empty, ""), Ok(None));
    }
    let flows = flows(&peer.heard());
    assert_eq!(flows.len(), 1);
    assert_eq!(
        (flows[0].next_incoming_id, flows[0].incoming_window, flows[0].handle),
        (Some(512), 1024, None)
    );
}

#[test]
fn message_waits_for_credit_and_its_queue_is_bounded() {
    let (mut peer, link) = Peer::linked(Config { max_queued: 2, ..config() }, receiver(0));
    let message = Message::data("x");
    for _ in 0..2 {
        peer.connection.send(link, &message, true).expect("the queue has room");
    }
    assert_eq!(peer.connection.send(link, &message, true), Err(SendError::QueueFull));
    assert_eq!(peer.heard(), []);
    assert_eq!(peer.say(credit(1)), Ok(None));
    let frames = peer.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].payload, bytes_of(&message));
    assert_eq!(peer.say(credit(2)), Ok(None));
    let heard = peer.heard();
    let [Performative::Transfer(transfer)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((transfer.delivery_id, transfer.settled), (Some(1), Some(true)));
}

#[test]
fn message_is_cut_to_the_peers_frames_and_window() {
    let mut peer = Peer::open(config(), Open { max_frame_size: 512, ..Open::new("c") });
    peer.say(Performative::Begin(Begin { incoming_window: 2, ..begin() })).expect("legal");
    let link = peer.attach(receiver(0));
    peer.connection.accept_link(link).expect("it is asked for");
    peer.say(credit(10)).expect("legal");
    peer.say(Performative::Flow(Flow { incoming_window: 2, next_incoming_id: Some(0), ..Flow::default() }))
        .expect("legal");
    peer.heard();
    let message = Message::data(vec![7; 1500]);
    peer.connection.send(link, &message, true).expect("it fits");
    let mut frames = peer.frames();
    assert_eq!(frames.len(), 2);
    let more = Flow { next_incoming_id: Some(2), incoming_window: 9, ..Flow::default() };
    assert_eq!(peer.say(Performative::Flow(more)), Ok(None));
    frames.extend(peer.frames());
    let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.to_vec()).collect();
    assert_eq!(payload, bytes_of(&message));
    let last = |frame: &Frame| matches!(&frame.performative, Some(Performative::Transfer(t)) if !t.more);
    assert_eq!(frames.iter().map(last).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn verdict_of_the_peer_names_the_message_and_the_second_mode_is_settled() {
    let (mut peer, link) = Peer::linked(config(), receiver(0));
    peer.say(credit(10)).expect("legal");
    let sent = peer.connection.send(link, &Message::data("x"), false).expect("there is credit");
    peer.heard();
    let said = Disposition {
        role: Role::Receiver,
        first: 0,
        last: Some(u32::MAX),
        settled: false,
        state: Some(DeliveryState::Accepted),
    };
    let event = peer.say(Performative::Disposition(said.clone()));
    assert_eq!(event, Ok(Some(Event::Verdict { link, sent, state: Some(DeliveryState::Accepted) })));
    let settled = Disposition { role: Role::Sender, last: None, settled: true, ..said };
    assert_eq!(peer.heard(), [Performative::Disposition(settled)]);
}

#[test]
fn link_that_demands_settled_messages_gets_them() {
    let asked = Attach { snd_settle_mode: SenderSettleMode::Settled, ..receiver(0) };
    let (mut peer, link) = Peer::linked(config(), asked);
    peer.say(credit(1)).expect("legal");
    peer.connection.send(link, &Message::data("x"), false).expect("there is credit");
    assert!(matches!(&peer.heard()[..], [Performative::Transfer(Transfer { settled: Some(true), .. })]));
}

#[test]
fn drain_uses_the_credit_up() {
    let (mut peer, _) = Peer::linked(config(), receiver(0));
    let Performative::Flow(flow) = credit(5) else { panic!("it is one") };
    assert_eq!(peer.say(Performative::Flow(Flow { drain: true, ..flow })), Ok(None));
    let flows = flows(&peer.heard());
    assert_eq!((flows[0].link_credit, flows[0].delivery_count, flows[0].drain), (Some(0), Some(5), true));
}

#[test]
fn end_takes_its_links_along_and_the_channel_is_free() {
    let (mut peer, link) = Peer::linked(config(), sender(0));
    assert_eq!(peer.say(Performative::End(None)), Ok(Some(Event::Detached { link, error: None })));
    assert_eq!(peer.heard(), [Performative::End(None)]);
    assert_eq!(peer.say(Performative::Begin(begin())), Ok(None));
    let again = peer.attach(sender(0));
    assert_ne!(again, link);
}

#[test]
fn close_is_answered_and_ends() {
    let (mut peer, link) = Peer::linked(config(), sender(0));
    assert_eq!(peer.say(Performative::Close(None)), Ok(Some(Event::Closed(None))));
    assert_eq!(peer.heard(), [Performative::Close(None)]);
    assert!(peer.connection.is_closed());
    assert_eq!(peer.connection.detach_link(link, None), Err(SendError::Closed));
}

#[test]
fn broken_rule_closes_with_its_condition() {
    let link = || Peer::linked(Config { max_links: 2, max_sessions: 1, ..config() }, sender(0)).0;
    let attach = |handle| Performative::Attach(Box::new(sender(handle)));
    let detach = Performative::Detach(Detach { handle: 7, closed: true, error: None });
    let answer = Performative::Begin(Begin { remote_channel: Some(0), ..begin() });
    for (channel, said, condition) in [
        (0, Performative::Open(Box::new(Open::new("c"))), "amqp:illegal-state"),
        (0, Performative::Begin(begin()), "amqp:illegal-state"),
        (5, answer, "amqp:illegal-state"),
        (5, Performative::Begin(begin()), "amqp:resource-limit-exceeded"),
        (9_000, Performative::Begin(begin()), "amqp:connection:framing-error"),
        (5, attach(1), "amqp:not-allowed"),
        (0, attach(0), "amqp:session:handle-in-use"),
        (0, attach(256), "amqp:connection:framing-error"),
        (0, detach, "amqp:session:unattached-handle"),
        (0, Performative::Transfer(Transfer::default()), "amqp:invalid-field"),
    ] {
        let mut peer = link();
        let outcome = peer.say_frame(&Frame::new(channel, said.clone()));
        assert!(outcome.is_err(), "{said:?}");
        assert_eq!(peer.closed_for(), condition, "{said:?}");
        assert_eq!(peer.connection.poll(0), Ok(None));
    }
    let mut peer = link();
    peer.attach(sender(1));
    assert_eq!(peer.say(attach(2)), Err(ConnectionError::TooManyLinks { limit: 2 }));
}

#[test]
fn same_name_in_both_directions_is_two_links() {
    let mut peer = Peer::begun(config());
    let links = [peer.attach(sender(0)), peer.attach(receiver(1))];
    for link in links {
        peer.connection.accept_link(link).expect("it is asked for");
    }
    assert_eq!(peer.connection.links(), 2);
}

#[test]
fn address_is_the_far_end() {
    assert_eq!((sender(0).address(), receiver(0).address()), (Some(ADDRESS), Some(ADDRESS)));
}

#[test]
fn idle_connection_is_small() {
    // One session and two links, nothing buffered.
    assert!(size_of::<Connection>() <= 320, "{}", size_of::<Connection>());
    let (mut peer, _) = Peer::linked(config(), sender(0));
    let receiver = peer.attach(receiver(1));
    peer.connection.accept_link(receiver).expect("it is asked for");
    peer.connection.take_output();
    assert_eq!(peer.connection.poll(0), Ok(None));
    let footprint = peer.connection.footprint();
    assert!((320..=2_048).contains(&footprint), "{footprint} bytes");
}
