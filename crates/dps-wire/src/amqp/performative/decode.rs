//! Bytes in, performatives out. A field that the standard makes mandatory and nobody needs is not asked for.

use super::{
    AmqpError, Attach, Begin, DeliveryState, Detach, Disposition, Flow, Open, Performative,
    ReceiverSettleMode, Role, Sasl, SaslCode, SaslInit, SenderSettleMode, Transfer, code,
};
use crate::amqp::limits::{MAX_DELIVERY_TAG, MAX_MECHANISMS, MAX_NAME, MAX_STRING};
use crate::amqp::value::{DecodeError, List, Reader, Secret, Symbol, Value};

/// The performative that a frame's body begins with; the reader is left behind it.
pub(crate) fn performative(body: &mut Reader<'_>) -> Result<Performative, DecodeError> {
    let at = body.at();
    let Some(descriptor) = body.descriptor(code::NAMES)? else { return Err(DecodeError::Descriptor { at }) };
    let mut list = match descriptor {
        code::OPEN..=code::CLOSE => body.list()?,
        _ => return Err(DecodeError::Descriptor { at }),
    };
    let list = &mut list;
    Ok(match descriptor {
        code::OPEN => Performative::Open(Box::new(open(list)?)),
        code::BEGIN => Performative::Begin(begin(list)?),
        code::ATTACH => Performative::Attach(Box::new(attach(list)?)),
        code::FLOW => Performative::Flow(flow(list)?),
        code::TRANSFER => Performative::Transfer(transfer(list)?),
        code::DISPOSITION => Performative::Disposition(disposition(list)?),
        code::DETACH => Performative::Detach(detach(list)?),
        code::END => Performative::End(error(list)?),
        _ => Performative::Close(error(list)?),
    })
}

fn open(list: &mut List<'_>) -> Result<Open, DecodeError> {
    let container_id = list.text("open.container-id", MAX_NAME)?;
    let container_id = container_id.ok_or_else(|| list.missing("open.container-id"))?;
    let hostname = list.text("open.hostname", MAX_NAME)?;
    let max_frame_size = list.uint("open.max-frame-size")?.unwrap_or(u32::MAX);
    let channel_max = list.ushort("open.channel-max")?.unwrap_or(u16::MAX);
    let idle_time_out = list.uint("open.idle-time-out")?;
    // Locales and capabilities, two of each.
    for _ in 0..4 {
        list.skip()?;
    }
    let properties = list.fields("open.properties")?;
    Ok(Open { container_id, hostname, max_frame_size, channel_max, idle_time_out, properties })
}

fn begin(list: &mut List<'_>) -> Result<Begin, DecodeError> {
    let remote_channel = list.ushort("begin.remote-channel")?;
    let next_outgoing_id = list.uint("begin.next-outgoing-id")?;
    let next_outgoing_id = next_outgoing_id.ok_or_else(|| list.missing("begin.next-outgoing-id"))?;
    let incoming_window = list.uint("begin.incoming-window")?;
    let incoming_window = incoming_window.ok_or_else(|| list.missing("begin.incoming-window"))?;
    let outgoing_window = list.uint("begin.outgoing-window")?.unwrap_or_default();
    let handle_max = list.uint("begin.handle-max")?.unwrap_or(u32::MAX);
    Ok(Begin { remote_channel, next_outgoing_id, incoming_window, outgoing_window, handle_max })
}

fn attach(list: &mut List<'_>) -> Result<Attach, DecodeError> {
    let name = list.text("attach.name", MAX_NAME)?.ok_or_else(|| list.missing("attach.name"))?;
    let handle = list.uint("attach.handle")?.ok_or_else(|| list.missing("attach.handle"))?;
    let role = role(list, "attach.role")?;
    let at = list.at();
    let field = "attach.snd-settle-mode";
    let snd_settle_mode = match list.ubyte(field)? {
        Some(0) => SenderSettleMode::Unsettled,
        Some(1) => SenderSettleMode::Settled,
        Some(2) | None => SenderSettleMode::Mixed,
        Some(_) => return Err(DecodeError::BadValue { field, at }),
    };
    let at = list.at();
    let field = "attach.rcv-settle-mode";
    let rcv_settle_mode = match list.ubyte(field)? {
        Some(0) | None => ReceiverSettleMode::First,
        Some(1) => ReceiverSettleMode::Second,
        Some(_) => return Err(DecodeError::BadValue { field, at }),
    };
    let source = list.value()?;
    let target = list.value()?;
    // The unsettled map, and whether it is whole: no link of ours is ever resumed.
    list.skip()?;
    list.skip()?;
    let initial_delivery_count = list.uint("attach.initial-delivery-count")?;
    let max_message_size = list.ulong("attach.max-message-size")?;
    list.skip()?;
    list.skip()?;
    let properties = list.fields("attach.properties")?;
    Ok(Attach {
        name,
        handle,
        role,
        snd_settle_mode,
        rcv_settle_mode,
        source,
        target,
        initial_delivery_count,
        max_message_size,
        properties,
    })
}

fn role(list: &mut List<'_>, field: &'static str) -> Result<Role, DecodeError> {
    let receiver = list.boolean(field)?.ok_or_else(|| list.missing(field))?;
    Ok(if receiver { Role::Receiver } else { Role::Sender })
}

fn flow(list: &mut List<'_>) -> Result<Flow, DecodeError> {
    let next_incoming_id = list.uint("flow.next-incoming-id")?;
    let incoming_window = list.uint("flow.incoming-window")?;
    let incoming_window = incoming_window.ok_or_else(|| list.missing("flow.incoming-window"))?;
    let flow = Flow {
        next_incoming_id,
        incoming_window,
        next_outgoing_id: list.uint("flow.next-outgoing-id")?.unwrap_or_default(),
        outgoing_window: list.uint("flow.outgoing-window")?.unwrap_or_default(),
        handle: list.uint("flow.handle")?,
        delivery_count: list.uint("flow.delivery-count")?,
        link_credit: list.uint("flow.link-credit")?,
        available: list.uint("flow.available")?,
        drain: list.boolean("flow.drain")?.unwrap_or_default(),
        echo: list.boolean("flow.echo")?.unwrap_or_default(),
    };
    Ok(flow)
}

fn transfer(list: &mut List<'_>) -> Result<Transfer, DecodeError> {
    let handle = list.uint("transfer.handle")?.ok_or_else(|| list.missing("transfer.handle"))?;
    let delivery_id = list.uint("transfer.delivery-id")?;
    let at = list.at();
    let delivery_tag = list.bytes("transfer.delivery-tag")?;
    if let Some(tag) = delivery_tag.as_ref().filter(|tag| tag.len() > MAX_DELIVERY_TAG) {
        let (kind, length, limit) = ("delivery tag", tag.len(), MAX_DELIVERY_TAG);
        return Err(DecodeError::TooLong { kind, length, limit, at });
    }
    let message_format = list.uint("transfer.message-format")?;
    let settled = list.boolean("transfer.settled")?;
    let more = list.boolean("transfer.more")?.unwrap_or_default();
    // Receiver settle mode, state, resume.
    for _ in 0..3 {
        list.skip()?;
    }
    let aborted = list.boolean("transfer.aborted")?.unwrap_or_default();
    Ok(Transfer { handle, delivery_id, delivery_tag, message_format, settled, more, aborted })
}

fn disposition(list: &mut List<'_>) -> Result<Disposition, DecodeError> {
    let role = role(list, "disposition.role")?;
    let first = list.uint("disposition.first")?.ok_or_else(|| list.missing("disposition.first"))?;
    let last = list.uint("disposition.last")?;
    let settled = list.boolean("disposition.settled")?.unwrap_or_default();
    let state = match list.described(code::NAMES)? {
        None => None,
        Some((descriptor, mut body)) => Some(delivery_state(descriptor, &mut body)?),
    };
    Ok(Disposition { role, first, last, settled, state })
}

fn delivery_state(descriptor: Option<u64>, body: &mut Reader<'_>) -> Result<DeliveryState, DecodeError> {
    Ok(match descriptor {
        Some(code::RECEIVED) => DeliveryState::Received,
        Some(code::ACCEPTED) => DeliveryState::Accepted,
        Some(code::REJECTED) => DeliveryState::Rejected(error(&mut body.list()?)?),
        Some(code::RELEASED) => DeliveryState::Released,
        Some(code::MODIFIED) => {
            let mut list = body.list()?;
            DeliveryState::Modified {
                delivery_failed: list.boolean("modified.delivery-failed")?.unwrap_or_default(),
                undeliverable_here: list.boolean("modified.undeliverable-here")?.unwrap_or_default(),
            }
        }
        _ => DeliveryState::Other,
    })
}

fn detach(list: &mut List<'_>) -> Result<Detach, DecodeError> {
    let handle = list.uint("detach.handle")?.ok_or_else(|| list.missing("detach.handle"))?;
    let closed = list.boolean("detach.closed")?.unwrap_or_default();
    Ok(Detach { handle, closed, error: error(list)? })
}

/// The error that a list's next field may hold.
fn error(list: &mut List<'_>) -> Result<Option<AmqpError>, DecodeError> {
    let at = list.at();
    let Some((descriptor, mut body)) = list.described(code::NAMES)? else { return Ok(None) };
    if descriptor != Some(code::ERROR) {
        return Err(DecodeError::Descriptor { at });
    }
    let mut fields = body.list()?;
    let condition = fields.symbol("error.condition")?.ok_or_else(|| fields.missing("error.condition"))?;
    let description = fields.text("error.description", MAX_STRING)?;
    let info = fields.fields("error.info")?;
    Ok(Some(AmqpError { condition, description, info }))
}

/// The body of a SASL frame; nothing may follow it.
pub(crate) fn sasl(body: &mut Reader<'_>) -> Result<Sasl, DecodeError> {
    let at = body.at();
    let Some(descriptor) = body.descriptor(code::NAMES)? else { return Err(DecodeError::Descriptor { at }) };
    let mut list = match descriptor {
        code::MECHANISMS..=code::OUTCOME => body.list()?,
        _ => return Err(DecodeError::Descriptor { at }),
    };
    let list = &mut list;
    let said = match descriptor {
        code::MECHANISMS => Sasl::Mechanisms(mechanisms(list)?),
        code::INIT => Sasl::Init(sasl_init(list)?),
        code::CHALLENGE => Sasl::Challenge(secret(list, "sasl-challenge.challenge")?),
        code::RESPONSE => Sasl::Response(secret(list, "sasl-response.response")?),
        _ => {
            let (at, field) = (list.at(), "sasl-outcome.code");
            let number = list.ubyte(field)?.ok_or_else(|| list.missing(field))?;
            Sasl::Outcome(SaslCode::from_number(number).ok_or(DecodeError::BadValue { field, at })?)
        }
    };
    if body.is_empty() {
        Ok(said)
    } else {
        Err(DecodeError::TrailingBytes { at: body.at(), extra: body.rest().len() })
    }
}

fn secret(list: &mut List<'_>, field: &'static str) -> Result<Secret, DecodeError> {
    list.secret(field)?.ok_or_else(|| list.missing(field))
}

fn sasl_init(list: &mut List<'_>) -> Result<SaslInit, DecodeError> {
    let mechanism = list.symbol("sasl-init.mechanism")?;
    let mechanism = mechanism.ok_or_else(|| list.missing("sasl-init.mechanism"))?;
    let initial_response = list.secret("sasl-init.initial-response")?;
    let hostname = list.text("sasl-init.hostname", MAX_NAME)?;
    Ok(SaslInit { mechanism, initial_response, hostname })
}

/// An array of symbols, or one symbol alone.
fn mechanisms(list: &mut List<'_>) -> Result<Vec<Symbol>, DecodeError> {
    let (at, field) = (list.at(), "sasl-mechanisms.sasl-server-mechanisms");
    let items = match list.value()? {
        None => return Err(list.missing(field)),
        Some(Value::Symbol(only)) => return Ok(vec![only]),
        Some(Value::Array(array)) if array.items().len() <= MAX_MECHANISMS => array,
        Some(_) => return Err(DecodeError::WrongType { field, at }),
    };
    let symbol = |item: &Value| match item {
        Value::Symbol(symbol) => Ok(symbol.clone()),
        _ => Err(DecodeError::WrongType { field, at }),
    };
    items.items().iter().map(symbol).collect()
}
