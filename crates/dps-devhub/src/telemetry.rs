//! What devices sent to a hub, lately: a bounded ring in memory. Must not know who looks at it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dps_model::limits::{MAX_TELEMETRY_BYTES, MAX_TELEMETRY_KEPT};
use dps_model::{DeviceId, HubName, Timestamp};

/// One device-to-cloud message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The hub it came to.
    pub hub: HubName,
    /// The device.
    pub device_id: DeviceId,
    /// When it came.
    pub time: Timestamp,
    /// System (`$.ct`) and application properties, in order.
    pub properties: Vec<(String, String)>,
    /// The message.
    pub payload: Bytes,
}

impl Telemetry {
    fn size(&self) -> usize {
        let properties: usize = self.properties.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.payload.len() + properties
    }
}

/// The newest messages of one hub, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct Ring(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    messages: VecDeque<Arc<Telemetry>>,
    bytes: usize,
}

impl Ring {
    pub(crate) fn push(&self, message: Arc<Telemetry>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += message.size();
        kept.messages.push_back(message);
        while kept.messages.len() > MAX_TELEMETRY_KEPT || kept.bytes > MAX_TELEMETRY_BYTES {
            let Some(oldest) = kept.messages.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.size());
        }
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    pub(crate) fn newest_last(&self) -> Vec<Arc<Telemetry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).messages.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use dps_model::limits::{MAX_TELEMETRY_BYTES, MAX_TELEMETRY_KEPT};
    use dps_model::{DeviceId, HubName, Timestamp};

    use super::{Ring, Telemetry};

    fn message(number: usize, size: usize) -> Arc<Telemetry> {
        Arc::new(Telemetry {
            hub: HubName::parse("h").unwrap(),
            device_id: DeviceId::parse("d").unwrap(),
            time: Timestamp::from_millis(i64::try_from(number).unwrap()),
            properties: vec![],
            payload: Bytes::from(vec![0; size]),
        })
    }

    #[test]
    fn ring_full_drops_the_oldest() {
        let ring = Ring::default();
        for number in 0..MAX_TELEMETRY_KEPT + 2 {
            ring.push(message(number, 1));
        }
        let kept = ring.newest_last();
        assert_eq!((kept.len(), kept[0].time.millis()), (MAX_TELEMETRY_KEPT, 2));
    }

    #[test]
    fn ring_large_messages_bounded_in_bytes() {
        let ring = Ring::default();
        for number in 0..3 {
            ring.push(message(number, MAX_TELEMETRY_BYTES / 2));
        }
        assert_eq!(ring.newest_last().len(), 2);
    }
}
