//! What brokers answer, in the versions that are asked for. Owns bounds on it: an array has no more members than bytes are
//! left, and no more than that. Must not know connections.

use crate::limits::MAX_KAFKA_MEMBERS;

/// Bytes that are no such answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads big-endian values from the front.
pub struct Answer<'a>(pub &'a [u8]);

impl<'a> Answer<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        self.take().map(i16::from_be_bytes)
    }

    /// A number of four bytes.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.take().map(i32::from_be_bytes)
    }

    fn bytes(&mut self, length: i64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (first, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    fn text(&mut self) -> Result<Option<String>, Malformed> {
        match self.i16()? {
            -1 => Ok(None),
            length => {
                let bytes = self.bytes(length.into())?;
                std::str::from_utf8(bytes).map(|text| Some(text.to_owned())).map_err(|_| Malformed)
            }
        }
    }

    fn each<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        match self.i32()? {
            -1 => Ok(Vec::new()),
            count => {
                let count = usize::try_from(count).map_err(|_| Malformed)?;
                if count > self.0.len() || count > MAX_KAFKA_MEMBERS {
                    return Err(Malformed);
                }
                (0..count).map(|_| one(self)).collect()
            }
        }
    }
}

/// Where a topic's partitions are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Error code of the topic.
    pub error: i16,
    /// Number and leader's `host:port` of each partition that has a leader.
    pub leaders: Vec<(i32, String, u16)>,
}

/// Metadata, version 4, of that one topic.
pub fn metadata(bytes: &[u8], topic: &str) -> Result<Metadata, Malformed> {
    let mut answer = Answer(bytes);
    answer.i32()?; // throttle time
    let brokers = answer.each(|it| {
        let id = it.i32()?;
        let host = it.text()?.ok_or(Malformed)?;
        let port = u16::try_from(it.i32()?).map_err(|_| Malformed)?;
        it.text()?; // rack
        Ok((id, host, port))
    })?;
    answer.text()?; // cluster id
    answer.i32()?; // controller
    let topics = answer.each(|it| {
        let error = it.i16()?;
        let name = it.text()?;
        it.take::<1>()?; // internal
        let partitions = it.each(|it| {
            it.i16()?;
            let (number, leader) = (it.i32()?, it.i32()?);
            it.each(Answer::i32)?; // replicas
            it.each(Answer::i32)?; // in sync
            Ok((number, leader))
        })?;
        Ok((error, name, partitions))
    })?;
    let found = topics.into_iter().find(|(_, name, _)| name.as_deref() == Some(topic));
    let (error, _, partitions) = found.ok_or(Malformed)?;
    let led = partitions.into_iter().filter_map(|(number, leader)| {
        let (_, host, port) = brokers.iter().find(|(id, _, _)| *id == leader)?;
        Some((number, host.clone(), *port))
    });
    let mut leaders: Vec<_> = led.collect();
    leaders.sort();
    Ok(Metadata { error, leaders })
}

/// Error code of the one partition of a produce answer, version 7.
pub fn produced(bytes: &[u8]) -> Result<i16, Malformed> {
    let topics = Answer(bytes).each(|it| {
        it.text()?;
        it.each(|it| {
            it.i32()?;
            let error = it.i16()?;
            it.take::<24>()?; // base offset, append time, start offset
            Ok(error)
        })
    })?;
    topics.into_iter().flatten().next().ok_or(Malformed)
}

/// Error code and mechanisms of a SASL handshake, version 1.
pub fn handshake(bytes: &[u8]) -> Result<(i16, Vec<String>), Malformed> {
    let mut answer = Answer(bytes);
    let error = answer.i16()?;
    let mechanisms = answer.each(|it| it.text()?.ok_or(Malformed))?;
    Ok((error, mechanisms))
}

/// Error code and message of a SASL authentication, version 1.
pub fn authenticated(bytes: &[u8]) -> Result<(i16, Option<String>), Malformed> {
    let mut answer = Answer(bytes);
    Ok((answer.i16()?, answer.text()?))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, Bytes, BytesMut};
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
    use kafka_protocol::messages::{BrokerId, MetadataResponse, ProduceResponse, TopicName};
    use kafka_protocol::protocol::{Encodable as _, StrBytes};

    use super::{Malformed, Metadata, authenticated, handshake, metadata, produced};

    fn text(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    fn cluster() -> Bytes {
        let broker = |id, host| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(text(host))
                .with_port(9_093)
        };
        let partition = |number, leader| {
            MetadataResponsePartition::default()
                .with_partition_index(number)
                .with_leader_id(BrokerId(leader))
                .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(TopicName(text("t"))))
            .with_partitions(vec![partition(1, 2), partition(0, 1), partition(2, 9)]);
        let response = MetadataResponse::default()
            .with_brokers(vec![broker(1, "a"), broker(2, "b")])
            .with_topics(vec![topic]);
        let mut bytes = BytesMut::new();
        response.encode(&mut bytes, 4).unwrap();
        bytes.freeze()
    }

    #[test]
    fn answers_of_the_reference_encoder_are_read() {
        let leaders = vec![(0, "a".to_owned(), 9_093), (1, "b".to_owned(), 9_093)];
        assert_eq!(metadata(&cluster(), "t"), Ok(Metadata { error: 0, leaders }));
        assert_eq!(metadata(&cluster(), "other"), Err(Malformed));
        let partition = PartitionProduceResponse::default().with_error_code(10);
        let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
        let mut bytes = BytesMut::new();
        ProduceResponse::default().with_responses(vec![topic]).encode(&mut bytes, 7).unwrap();
        assert_eq!(produced(&bytes), Ok(10));
        assert_eq!(handshake(b"\0\x21\0\0\0\x01\0\x05PLAIN"), Ok((33, vec!["PLAIN".to_owned()])));
        assert_eq!(authenticated(b"\0\x3a\0\x02no\0\0\0\0"), Ok((58, Some("no".to_owned()))));
    }

    #[test]
    fn hostile_answers_are_malformed_and_cost_nothing() {
        let whole = cluster();
        for end in 0..whole.len() {
            assert_eq!(metadata(&whole[..end], "t"), Err(Malformed), "{end}");
        }
        let mut many = BytesMut::new();
        many.put_i32(0);
        many.put_i32(i32::MAX);
        many.put_bytes(0, 1_000);
        assert_eq!(metadata(&many, "t"), Err(Malformed));
        assert_eq!(produced(&[0x7f, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(produced(&[0, 0, 0, 0]), Err(Malformed));
        assert_eq!(handshake(&[0, 0, 0x80, 0, 0, 0]), Err(Malformed));
    }
}
