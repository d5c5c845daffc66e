//! Packets to bytes. What would not decode is refused here, so that a peer never sees our mistake.

use bytes::{BufMut, BytesMut};

use super::error::{EncodeError, Field};
use super::{bad_wildcard, wildcard};
use crate::mqtt::limits::{MAX_FIELD, MAX_REMAINING_LENGTH};
use crate::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, PacketType, Protocol, Publish, SubAck,
    Subscribe, SubscribeResult, Unsubscribe,
};

/// Appends the packet to `output`; on an error `output` is as it was.
pub fn encode(packet: &Packet, output: &mut BytesMut) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => self::connect(connect, output)?,
        Packet::ConnAck(connack) => self::connack(*connack, output)?,
        Packet::Publish(publish) => self::publish(publish, output)?,
        Packet::Subscribe(subscribe) => self::subscribe(subscribe, output)?,
        Packet::SubAck(suback) => self::suback(suback, output)?,
        Packet::Unsubscribe(unsubscribe) => self::unsubscribe(unsubscribe, output)?,
        Packet::PubAck(id) | Packet::PubRec(id) | Packet::PubComp(id) | Packet::UnsubAck(id) => {
            id_only(packet.packet_type(), 0, *id, output);
        }
        Packet::PubRel(id) => id_only(PacketType::PubRel, 0b0010, *id, output),
        Packet::PingReq | Packet::PingResp | Packet::Disconnect => {
            output.put_slice(&[(packet.packet_type() as u8) << 4, 0]);
        }
    }
    Ok(())
}

fn connect(connect: &Connect, output: &mut BytesMut) -> Result<(), EncodeError> {
    let (name, level): (&[u8], u8) = match connect.protocol {
        Protocol::V311 => (b"MQTT", 4),
        Protocol::V31 => (b"MQIsdp", 3),
        other @ Protocol::Other(_) => return Err(EncodeError::UnknownProtocol(other)),
    };
    if connect.password.is_some() && connect.user_name.is_none() {
        return Err(EncodeError::PasswordWithoutUserName);
    }
    let mut flags = u8::from(connect.clean_session) << 1;
    let mut length = 2 + name.len() + 4 + check_string(Field::ClientId, &connect.client_id)?;
    if let Some(will) = &connect.will {
        flags |= 0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
        length += check_topic(Field::WillTopic, &will.topic)?;
        length += check_binary(Field::WillMessage, &will.message)?;
    }
    if let Some(user_name) = &connect.user_name {
        flags |= 0x80;
        length += check_string(Field::UserName, user_name)?;
    }
    if let Some(password) = &connect.password {
        flags |= 0x40;
        length += check_binary(Field::Password, password.expose())?;
    }
    fixed_header(PacketType::Connect, 0, length, output)?;
    put_binary(name, output);
    output.put_u8(level);
    output.put_u8(flags);
    output.put_u16(connect.keep_alive);
    put_binary(connect.client_id.as_bytes(), output);
    if let Some(will) = &connect.will {
        put_binary(will.topic.as_bytes(), output);
        put_binary(&will.message, output);
    }
    if let Some(user_name) = &connect.user_name {
        put_binary(user_name.as_bytes(), output);
    }
    if let Some(password) = &connect.password {
        put_binary(password.expose(), output);
    }
    Ok(())
}

fn connack(connack: ConnAck, output: &mut BytesMut) -> Result<(), EncodeError> {
    if connack.session_present && connack.code != ConnectReturnCode::Accepted {
        return Err(EncodeError::SessionPresentInRefusal);
    }
    output.put_slice(&[0x20, 2, u8::from(connack.session_present), connack.code as u8]);
    Ok(())
}

fn publish(publish: &Publish, output: &mut BytesMut) -> Result<(), EncodeError> {
    let mut length = check_topic(Field::TopicName, &publish.topic)? + publish.payload.len();
    let mut flags = (publish.delivery.qos() as u8) << 1 | u8::from(publish.retain);
    if let Delivery::AtLeastOnce { dup, .. } | Delivery::ExactlyOnce { dup, .. } = publish.delivery {
        length += 2;
        flags |= u8::from(dup) << 3;
    }
    fixed_header(PacketType::Publish, flags, length, output)?;
    put_binary(publish.topic.as_bytes(), output);
    if let Some(id) = publish.delivery.packet_id() {
        output.put_u16(id.get());
    }
    output.put_slice(&publish.payload);
    Ok(())
}

fn subscribe(subscribe: &Subscribe, output: &mut BytesMut) -> Result<(), EncodeError> {
    let mut length = 2;
    for entry in &subscribe.filters {
        length += check_filter(&entry.filter)? + 1;
    }
    check_list(PacketType::Subscribe, &subscribe.filters)?;
    fixed_header(PacketType::Subscribe, 0b0010, length, output)?;
    output.put_u16(subscribe.packet_id.get());
    for entry in &subscribe.filters {
        put_binary(entry.filter.as_bytes(), output);
        output.put_u8(entry.qos as u8);
    }
    Ok(())
}

fn suback(suback: &SubAck, output: &mut BytesMut) -> Result<(), EncodeError> {
    check_list(PacketType::SubAck, &suback.results)?;
    fixed_header(PacketType::SubAck, 0, 2 + suback.results.len(), output)?;
    output.put_u16(suback.packet_id.get());
    for result in &suback.results {
        output.put_u8(match result {
            SubscribeResult::Granted(qos) => *qos as u8,
            SubscribeResult::Failure => 0x80,
        });
    }
    Ok(())
}

fn unsubscribe(unsubscribe: &Unsubscribe, output: &mut BytesMut) -> Result<(), EncodeError> {
    let mut length = 2;
    for filter in &unsubscribe.filters {
        length += check_filter(filter)?;
    }
    check_list(PacketType::Unsubscribe, &unsubscribe.filters)?;
    fixed_header(PacketType::Unsubscribe, 0b0010, length, output)?;
    output.put_u16(unsubscribe.packet_id.get());
    for filter in &unsubscribe.filters {
        put_binary(filter.as_bytes(), output);
    }
    Ok(())
}

fn id_only(packet: PacketType, flags: u8, id: PacketId, output: &mut BytesMut) {
    let [high, low] = id.get().to_be_bytes();
    output.put_slice(&[(packet as u8) << 4 | flags, 2, high, low]);
}

/// Writes type, flags and length, and makes room for the rest in one go.
fn fixed_header(
    packet: PacketType,
    flags: u8,
    length: usize,
    output: &mut BytesMut,
) -> Result<(), EncodeError> {
    if length > MAX_REMAINING_LENGTH {
        return Err(EncodeError::PacketTooLong { packet, length });
    }
    output.reserve(length + 5);
    output.put_u8((packet as u8) << 4 | flags);
    let mut rest = length;
    loop {
        // The mask leaves seven bits.
        #[allow(clippy::cast_possible_truncation)]
        let digit = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            output.put_u8(digit);
            return Ok(());
        }
        output.put_u8(digit | 0x80);
    }
}

fn put_binary(bytes: &[u8], output: &mut BytesMut) {
    // Every field was measured against MAX_FIELD (= u16::MAX) before the first byte was written.
    #[allow(clippy::cast_possible_truncation)]
    output.put_u16(bytes.len() as u16);
    output.put_slice(bytes);
}

fn check_binary(field: Field, bytes: &[u8]) -> Result<usize, EncodeError> {
    let length = bytes.len();
    if length > MAX_FIELD { Err(EncodeError::FieldTooLong { field, length }) } else { Ok(length + 2) }
}

fn check_string(field: Field, text: &str) -> Result<usize, EncodeError> {
    if text.as_bytes().contains(&0) {
        return Err(EncodeError::NullCharacter { field });
    }
    check_binary(field, text.as_bytes())
}

fn check_topic(field: Field, topic: &str) -> Result<usize, EncodeError> {
    if topic.is_empty() || wildcard(topic.as_bytes()).is_some() {
        return Err(EncodeError::BadTopic { field });
    }
    check_string(field, topic)
}

fn check_filter(filter: &str) -> Result<usize, EncodeError> {
    if filter.is_empty() || bad_wildcard(filter.as_bytes()).is_some() {
        return Err(EncodeError::BadTopic { field: Field::TopicFilter });
    }
    check_string(Field::TopicFilter, filter)
}

fn check_list<T>(packet: PacketType, list: &[T]) -> Result<(), EncodeError> {
    if list.is_empty() { Err(EncodeError::NoFilters { packet }) } else { Ok(()) }
}
