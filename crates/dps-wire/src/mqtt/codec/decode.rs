//! The body of each packet: whole frames in, packets out. Framing is the parent's work.

use bytes::Bytes;

use super::error::{DecodeError, Field};
use super::{Limits, bad_wildcard, wildcard};
use crate::mqtt::packet::{
    ConnAck, Connect, ConnectReturnCode, Delivery, Packet, PacketId, PacketType, Password, Protocol, Publish,
    QoS, SubAck, Subscribe, SubscribeFilter, SubscribeResult, Unsubscribe, Will,
};

/// §2.2.2: every type but PUBLISH has one legal value of its four flags.
pub(super) fn check_flags(packet: PacketType, flags: u8) -> Result<(), DecodeError> {
    let fine = match packet {
        PacketType::Publish => return check_publish_flags(flags),
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => flags == 0b0010,
        _ => flags == 0,
    };
    if fine { Ok(()) } else { Err(DecodeError::ReservedFlags { packet, flags }) }
}

fn check_publish_flags(flags: u8) -> Result<(), DecodeError> {
    match QoS::from_bits(flags >> 1 & 0b11) {
        None => Err(DecodeError::ReservedQos { packet: PacketType::Publish, at: 0 }),
        Some(QoS::AtMostOnce) if flags & 0b1000 != 0 => Err(DecodeError::DuplicateQos0),
        Some(_) => Ok(()),
    }
}

/// Types of fixed size are judged from the fixed header alone.
pub(super) fn check_body_length(packet: PacketType, actual: usize) -> Result<(), DecodeError> {
    let expected = match packet {
        PacketType::PingReq | PacketType::PingResp | PacketType::Disconnect => 0,
        PacketType::ConnAck
        | PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubRel
        | PacketType::PubComp
        | PacketType::UnsubAck => 2,
        PacketType::Connect
        | PacketType::Publish
        | PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe => return Ok(()),
    };
    if actual == expected { Ok(()) } else { Err(DecodeError::BodyLength { packet, expected, actual }) }
}

/// Decodes any packet but CONNECT; `header` is where the body begins in `frame`.
pub(super) fn packet(
    packet: PacketType,
    flags: u8,
    frame: &Bytes,
    header: usize,
    limits: &Limits,
) -> Result<Packet, DecodeError> {
    let mut body = Reader { packet, frame, at: header };
    let decoded = match packet {
        PacketType::Connect => return connect(frame, header),
        PacketType::Publish => return publish(flags, frame, header),
        PacketType::ConnAck => Packet::ConnAck(connack(&mut body)?),
        PacketType::PubAck => Packet::PubAck(body.packet_id()?),
        PacketType::PubRec => Packet::PubRec(body.packet_id()?),
        PacketType::PubRel => Packet::PubRel(body.packet_id()?),
        PacketType::PubComp => Packet::PubComp(body.packet_id()?),
        PacketType::Subscribe => Packet::Subscribe(subscribe(&mut body, limits.max_filters)?),
        PacketType::SubAck => Packet::SubAck(suback(&mut body, limits.max_filters)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe(&mut body, limits.max_filters)?),
        PacketType::UnsubAck => Packet::UnsubAck(body.packet_id()?),
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect,
    };
    body.end()?;
    Ok(decoded)
}

/// Decodes CONNECT. Of a protocol other than MQTT 3.1 and 3.1.1 nothing is read behind its level.
pub(super) fn connect(frame: &[u8], header: usize) -> Result<Packet, DecodeError> {
    let mut body = Reader { packet: PacketType::Connect, frame, at: header };
    let protocol = protocol(&mut body)?;
    if let Protocol::Other(_) = protocol {
        return Ok(Packet::Connect(Box::new(Connect {
            protocol,
            clean_session: true,
            keep_alive: 0,
            client_id: String::new(),
            will: None,
            user_name: None,
            password: None,
        })));
    }
    let at = body.at;
    let flags = body.byte(Field::ConnectFlags)?;
    let has = |bit: u8| flags & bit != 0;
    let (will, will_retain) = (has(0x04), has(0x20));
    let (user_name, password) = (has(0x80), has(0x40));
    let will_qos = QoS::from_bits(flags >> 3 & 0b11).ok_or(DecodeError::WillFlags { at })?;
    if has(0x01) {
        return Err(DecodeError::ConnectReservedFlag { at });
    }
    if !will && (will_retain || will_qos != QoS::AtMostOnce) {
        return Err(DecodeError::WillFlags { at });
    }
    if password && !user_name {
        return Err(DecodeError::PasswordWithoutUserName { at });
    }
    let keep_alive = body.u16(Field::KeepAlive)?;
    let client_id = body.string(Field::ClientId)?;
    let will = if will { Some(self::will(&mut body, will_qos, will_retain)?) } else { None };
    let user_name = if user_name { Some(body.string(Field::UserName)?) } else { None };
    let password = if password { Some(Password::new(body.binary(Field::Password)?.to_vec())) } else { None };
    body.end()?;
    Ok(Packet::Connect(Box::new(Connect {
        protocol,
        clean_session: has(0x02),
        keep_alive,
        client_id,
        will,
        user_name,
        password,
    })))
}

fn protocol(body: &mut Reader<'_>) -> Result<Protocol, DecodeError> {
    let at = body.at;
    let name = body.binary(Field::ProtocolName)?;
    let known = match name {
        b"MQTT" => Protocol::V311,
        b"MQIsdp" => Protocol::V31,
        _ => return Err(DecodeError::ProtocolName { at }),
    };
    // A bridge may set bit 7 of the level; to us that is one more level we do not speak.
    Ok(match (known, body.byte(Field::ProtocolLevel)?) {
        (Protocol::V311, 4) => Protocol::V311,
        (Protocol::V31, 3) => Protocol::V31,
        (_, level) => Protocol::Other(level),
    })
}

fn will(body: &mut Reader<'_>, qos: QoS, retain: bool) -> Result<Will, DecodeError> {
    let topic = body.topic(Field::WillTopic)?;
    let message = Bytes::copy_from_slice(body.binary(Field::WillMessage)?);
    Ok(Will { topic, message, qos, retain })
}

fn connack(body: &mut Reader<'_>) -> Result<ConnAck, DecodeError> {
    let at = body.at;
    let flags = body.byte(Field::ConnectFlags)?;
    let byte = body.byte(Field::ConnectFlags)?;
    let code = ConnectReturnCode::from_byte(byte).ok_or(DecodeError::ReturnCode {
        packet: PacketType::ConnAck,
        code: byte,
        at: at + 1,
    })?;
    if flags > 1 || (flags == 1 && code != ConnectReturnCode::Accepted) {
        return Err(DecodeError::ConnAckFlags { at });
    }
    Ok(ConnAck { session_present: flags == 1, code })
}

/// The flags were judged with the fixed header; here they only choose.
fn publish(flags: u8, frame: &Bytes, header: usize) -> Result<Packet, DecodeError> {
    let mut body = Reader { packet: PacketType::Publish, frame, at: header };
    let topic = body.topic(Field::TopicName)?;
    let dup = flags & 0b1000 != 0;
    let delivery = match QoS::from_bits(flags >> 1 & 0b11) {
        Some(QoS::AtMostOnce) => Delivery::AtMostOnce,
        Some(QoS::AtLeastOnce) => Delivery::AtLeastOnce { packet_id: body.packet_id()?, dup },
        Some(QoS::ExactlyOnce) => Delivery::ExactlyOnce { packet_id: body.packet_id()?, dup },
        None => return Err(DecodeError::ReservedQos { packet: PacketType::Publish, at: 0 }),
    };
    let payload = body.at;
    Ok(Packet::Publish(Publish { topic, delivery, retain: flags & 1 != 0, payload: frame.slice(payload..) }))
}

fn subscribe(body: &mut Reader<'_>, limit: usize) -> Result<Subscribe, DecodeError> {
    let packet_id = body.packet_id()?;
    let filters = body.list(limit, |body| {
        let filter = body.filter()?;
        let at = body.at;
        let bits = body.byte(Field::RequestedQos)?;
        if bits > 0b11 {
            return Err(DecodeError::RequestedQosBits { at });
        }
        let qos =
            QoS::from_bits(bits).ok_or(DecodeError::ReservedQos { packet: PacketType::Subscribe, at })?;
        Ok(SubscribeFilter { filter, qos })
    })?;
    Ok(Subscribe { packet_id, filters })
}

fn unsubscribe(body: &mut Reader<'_>, limit: usize) -> Result<Unsubscribe, DecodeError> {
    let packet_id = body.packet_id()?;
    let filters = body.list(limit, Reader::filter)?;
    Ok(Unsubscribe { packet_id, filters })
}

fn suback(body: &mut Reader<'_>, limit: usize) -> Result<SubAck, DecodeError> {
    let packet_id = body.packet_id()?;
    let results = body.list(limit, |body| {
        let at = body.at;
        match body.byte(Field::RequestedQos)? {
            0x80 => Ok(SubscribeResult::Failure),
            code => QoS::from_bits(code).map(SubscribeResult::Granted).ok_or(DecodeError::ReturnCode {
                packet: PacketType::SubAck,
                code,
                at,
            }),
        }
    })?;
    Ok(SubAck { packet_id, results })
}

/// A place in a frame. Offsets count from the frame's first byte, so errors can name them.
struct Reader<'a> {
    packet: PacketType,
    frame: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, field: Field, begins: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.frame.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..count) else {
            return Err(DecodeError::Truncated { packet: self.packet, field, at: begins });
        };
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self, field: Field) -> Result<u8, DecodeError> {
        let taken = self.take(1, field, self.at)?;
        Ok(taken.iter().fold(0, |_, byte| *byte))
    }

    fn u16(&mut self, field: Field) -> Result<u16, DecodeError> {
        let taken = self.take(2, field, self.at)?;
        Ok(taken.iter().fold(0, |value, byte| value << 8 | u16::from(*byte)))
    }

    fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        let at = self.at;
        let id = self.u16(Field::PacketId)?;
        PacketId::new(id).ok_or(DecodeError::PacketIdZero { packet: self.packet, at })
    }

    fn binary(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let begins = self.at;
        let length = self.u16(field)?;
        self.take(usize::from(length), field, begins)
    }

    fn string(&mut self, field: Field) -> Result<String, DecodeError> {
        let bytes = self.binary(field)?;
        let begins = self.at - bytes.len();
        let text = std::str::from_utf8(bytes)
            .map_err(|error| DecodeError::NotUtf8 { field, at: begins + error.valid_up_to() })?;
        match bytes.iter().position(|byte| *byte == 0) {
            Some(null) => Err(DecodeError::NullCharacter { field, at: begins + null }),
            None => Ok(text.to_owned()),
        }
    }

    fn topic(&mut self, field: Field) -> Result<String, DecodeError> {
        let topic = self.string(field)?;
        let begins = self.at - topic.len();
        match wildcard(topic.as_bytes()) {
            Some(at) => Err(DecodeError::Wildcard { field, at: begins + at }),
            None if topic.is_empty() => Err(DecodeError::EmptyTopic { field, at: begins }),
            None => Ok(topic),
        }
    }

    fn filter(&mut self) -> Result<String, DecodeError> {
        let filter = self.string(Field::TopicFilter)?;
        let begins = self.at - filter.len();
        match bad_wildcard(filter.as_bytes()) {
            Some(at) => Err(DecodeError::FilterWildcard { at: begins + at }),
            None if filter.is_empty() => {
                Err(DecodeError::EmptyTopic { field: Field::TopicFilter, at: begins })
            }
            None => Ok(filter),
        }
    }

    /// One or more entries up to the frame's end.
    fn list<T>(
        &mut self,
        limit: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut entries = Vec::new();
        while self.at < self.frame.len() {
            if entries.len() == limit {
                return Err(DecodeError::TooManyFilters { packet: self.packet, limit, at: self.at });
            }
            entries.push(entry(self)?);
        }
        if entries.is_empty() { Err(DecodeError::NoFilters { packet: self.packet }) } else { Ok(entries) }
    }

    fn end(&self) -> Result<(), DecodeError> {
        let extra = self.frame.len() - self.at;
        if extra == 0 {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes { packet: self.packet, at: self.at, extra })
        }
    }
}
