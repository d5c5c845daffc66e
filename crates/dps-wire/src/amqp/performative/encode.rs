//! Performatives in, bytes out. Fields that have their default are left out, but for those that a client expects.

use bytes::BytesMut;

use super::{
    AmqpError, Attach, Begin, DeliveryState, Detach, Disposition, Flow, Open, Performative,
    ReceiverSettleMode, Role, Sasl, SenderSettleMode, Transfer, code,
};
use crate::amqp::value::{Array, ListWriter, Value, put_described_list};

/// Writes a performative.
pub(crate) fn put_performative(performative: &Performative, out: &mut BytesMut) {
    match performative {
        Performative::Open(open) => put_described_list(code::OPEN, out, |list| put_open(open, list)),
        Performative::Begin(begin) => put_described_list(code::BEGIN, out, |list| put_begin(begin, list)),
        Performative::Attach(attach) => {
            put_described_list(code::ATTACH, out, |list| put_attach(attach, list));
        }
        Performative::Flow(flow) => put_described_list(code::FLOW, out, |list| put_flow(flow, list)),
        Performative::Transfer(transfer) => {
            put_described_list(code::TRANSFER, out, |list| put_transfer(transfer, list));
        }
        Performative::Disposition(said) => {
            put_described_list(code::DISPOSITION, out, |list| put_disposition(said, list));
        }
        Performative::Detach(detach) => {
            put_described_list(code::DETACH, out, |list| put_detach(detach, list));
        }
        Performative::End(error) => {
            put_described_list(code::END, out, |list| put_error(error.as_ref(), list));
        }
        Performative::Close(error) => {
            put_described_list(code::CLOSE, out, |list| put_error(error.as_ref(), list));
        }
    }
}

fn put_open(open: &Open, list: &mut ListWriter<'_>) {
    list.string(Some(&open.container_id));
    list.string(open.hostname.as_deref());
    list.uint((open.max_frame_size != u32::MAX).then_some(open.max_frame_size));
    list.ushort((open.channel_max != u16::MAX).then_some(open.channel_max));
    list.uint(open.idle_time_out);
    for _ in 0..4 {
        list.null();
    }
    list.fields(&open.properties);
}

fn put_begin(begin: &Begin, list: &mut ListWriter<'_>) {
    list.ushort(begin.remote_channel);
    list.uint(Some(begin.next_outgoing_id));
    list.uint(Some(begin.incoming_window));
    list.uint(Some(begin.outgoing_window));
    list.uint((begin.handle_max != u32::MAX).then_some(begin.handle_max));
}

fn put_attach(attach: &Attach, list: &mut ListWriter<'_>) {
    list.string(Some(&attach.name));
    list.uint(Some(attach.handle));
    put_role(attach.role, list);
    list.ubyte(match attach.snd_settle_mode {
        SenderSettleMode::Unsettled => Some(0),
        SenderSettleMode::Settled => Some(1),
        SenderSettleMode::Mixed => None,
    });
    list.ubyte(match attach.rcv_settle_mode {
        ReceiverSettleMode::First => None,
        ReceiverSettleMode::Second => Some(1),
    });
    list.value(attach.source.as_ref());
    list.value(attach.target.as_ref());
    list.null();
    list.null();
    list.uint(attach.initial_delivery_count);
    list.ulong(attach.max_message_size);
    list.null();
    list.null();
    list.fields(&attach.properties);
}

fn put_role(role: Role, list: &mut ListWriter<'_>) {
    list.boolean(Some(role == Role::Receiver));
}

fn put_flow(flow: &Flow, list: &mut ListWriter<'_>) {
    list.uint(flow.next_incoming_id);
    list.uint(Some(flow.incoming_window));
    list.uint(Some(flow.next_outgoing_id));
    list.uint(Some(flow.outgoing_window));
    list.uint(flow.handle);
    list.uint(flow.delivery_count);
    list.uint(flow.link_credit);
    list.uint(flow.available);
    list.flag(flow.drain, false);
    list.flag(flow.echo, false);
}

fn put_transfer(transfer: &Transfer, list: &mut ListWriter<'_>) {
    list.uint(Some(transfer.handle));
    list.uint(transfer.delivery_id);
    list.binary(transfer.delivery_tag.as_deref());
    list.uint(transfer.message_format);
    list.boolean(transfer.settled);
    list.flag(transfer.more, false);
    for _ in 0..3 {
        list.null();
    }
    list.flag(transfer.aborted, false);
}

fn put_disposition(disposition: &Disposition, list: &mut ListWriter<'_>) {
    put_role(disposition.role, list);
    list.uint(Some(disposition.first));
    list.uint(disposition.last);
    list.flag(disposition.settled, false);
    match &disposition.state {
        None => {}
        // What is of another specification is not written by us; RECEIVED needs fields that nobody asks for.
        Some(DeliveryState::Received | DeliveryState::Other) => list.null(),
        Some(DeliveryState::Accepted) => list.described(code::ACCEPTED, |_| {}),
        Some(DeliveryState::Rejected(error)) => {
            list.described(code::REJECTED, |list| put_error(error.as_ref(), list));
        }
        Some(DeliveryState::Released) => list.described(code::RELEASED, |_| {}),
        Some(DeliveryState::Modified { delivery_failed, undeliverable_here }) => {
            list.described(code::MODIFIED, |list| {
                list.flag(*delivery_failed, false);
                list.flag(*undeliverable_here, false);
            });
        }
    }
}

fn put_detach(detach: &Detach, list: &mut ListWriter<'_>) {
    list.uint(Some(detach.handle));
    list.flag(detach.closed, false);
    put_error(detach.error.as_ref(), list);
}

fn put_error(error: Option<&AmqpError>, list: &mut ListWriter<'_>) {
    let Some(error) = error else { return list.null() };
    list.described(code::ERROR, |list| {
        list.symbol(Some(&error.condition));
        list.string(error.description.as_deref());
        list.fields(&error.info);
    });
}

/// Writes the body of a SASL frame.
pub(crate) fn put_sasl(sasl: &Sasl, out: &mut BytesMut) {
    match sasl {
        Sasl::Mechanisms(mechanisms) => put_described_list(code::MECHANISMS, out, |list| {
            let items = mechanisms.iter().cloned().map(Value::Symbol).collect();
            // Symbols all: always an array.
            list.value(Array::new(items).map(Value::Array).as_ref());
        }),
        Sasl::Init(init) => put_described_list(code::INIT, out, |list| {
            list.symbol(Some(&init.mechanism));
            list.binary(init.initial_response.as_ref().map(super::Secret::expose));
            list.string(init.hostname.as_deref());
        }),
        Sasl::Challenge(secret) => {
            put_described_list(code::CHALLENGE, out, |list| list.binary(Some(secret.expose())));
        }
        Sasl::Response(secret) => {
            put_described_list(code::RESPONSE, out, |list| list.binary(Some(secret.expose())));
        }
        Sasl::Outcome(code) => {
            put_described_list(super::code::OUTCOME, out, |list| list.ubyte(Some(code.number())));
        }
    }
}
