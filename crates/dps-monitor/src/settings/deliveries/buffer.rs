//! What waits for one destination: bounded in records and bytes, taken out in batches of one category and one hour of
//! receipt. Must not know when it is delivered.

use std::collections::VecDeque;

use dps_model::Timestamp;
use dps_model::limits::{
    MAX_DELIVERY_BATCH, MAX_DELIVERY_BATCH_BYTES, MAX_DELIVERY_BYTES_WAITING, MAX_DELIVERY_RECORDS_WAITING,
};

use crate::destinations::{MetricMinute, Records};
use crate::logs::{Category, ResourceLog};

const HOUR: i64 = 3_600;

/// One record.
#[derive(Debug)]
pub(super) enum Item {
    Log(ResourceLog),
    Metric(MetricMinute),
}

impl Item {
    /// Bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Log(log) => {
                let texts = [
                    &log.resource_id,
                    &log.result_signature,
                    &log.result_description,
                    &log.caller_ip_address,
                    &log.location,
                    &log.properties,
                ];
                size_of::<ResourceLog>() + texts.iter().map(|text| text.len()).sum::<usize>()
            }
            Self::Metric(_) => size_of::<MetricMinute>(),
        }
    }

    /// Records of one lane are delivered together.
    const fn lane(&self) -> usize {
        match self {
            Self::Log(ResourceLog { category: Category::DeviceOperations, .. }) => 0,
            Self::Log(ResourceLog { category: Category::ServiceOperations, .. }) => 1,
            Self::Metric(_) => 2,
        }
    }
}

struct Waiting {
    received: Timestamp,
    /// In the order of all lanes.
    number: u64,
    size: usize,
    item: Item,
}

/// What waits, and what is under way: both count.
#[derive(Default)]
pub(super) struct Buffer {
    lanes: [VecDeque<Waiting>; 3],
    next: u64,
    records: usize,
    bytes: usize,
}

/// Records to be delivered together.
pub(super) struct Taken {
    pub(super) received: Timestamp,
    pub(super) records: Records,
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl Buffer {
    /// Takes a record of that size; false when there is no room.
    pub(super) fn push(&mut self, item: Item, size: usize, received: Timestamp) -> bool {
        let fits = self.records < MAX_DELIVERY_RECORDS_WAITING
            && self.bytes.saturating_add(size) <= MAX_DELIVERY_BYTES_WAITING;
        let Some(lane) = self.lanes.get_mut(item.lane()).filter(|_| fits) else { return false };
        lane.push_back(Waiting { received, number: self.next, size, item });
        self.next += 1;
        self.records += 1;
        self.bytes += size;
        true
    }

    /// Does nothing wait?
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Is a batch as large as it may be?
    pub(super) fn has_a_batch(&self) -> bool {
        self.bytes >= MAX_DELIVERY_BATCH_BYTES
            || self.lanes.iter().any(|lane| lane.len() >= MAX_DELIVERY_BATCH)
    }

    /// Takes out what has waited longest, and what goes with it.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let oldest = |lane: &&mut VecDeque<Waiting>| lane.front().map_or(u64::MAX, |first| first.number);
        let lane = self.lanes.iter_mut().min_by_key(oldest)?;
        let received = lane.front()?.received;
        let hour = received.seconds().div_euclid(HOUR);
        let (mut logs, mut metrics, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        while let Some(next) = lane.front() {
            let count = logs.len() + metrics.len();
            let fits = count < MAX_DELIVERY_BATCH && bytes + next.size <= MAX_DELIVERY_BATCH_BYTES;
            if next.received.seconds().div_euclid(HOUR) != hour || (count > 0 && !fits) {
                break;
            }
            let Some(next) = lane.pop_front() else { break };
            bytes += next.size;
            match next.item {
                Item::Log(log) => logs.push(log),
                Item::Metric(minute) => metrics.push(minute),
            }
        }
        let count = logs.len() + metrics.len();
        let records = if logs.is_empty() { Records::Metrics(metrics) } else { Records::Logs(logs) };
        Some(Taken { received, records, count, bytes })
    }

    /// What was taken out is delivered, or given up.
    pub(super) fn done(&mut self, count: usize, bytes: usize) {
        self.records = self.records.saturating_sub(count);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Records that wait or are under way, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.records, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;
    use dps_model::limits::{
        MAX_DELIVERY_BATCH, MAX_DELIVERY_BATCH_BYTES, MAX_DELIVERY_BYTES_WAITING,
        MAX_DELIVERY_RECORDS_WAITING,
    };

    use super::{Buffer, Item, Taken};
    use crate::destinations::Records;
    use crate::logs::Category;
    use crate::settings::fixtures::{log, minute};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn push(buffer: &mut Buffer, category: Category, number: u64, second: i64) -> bool {
        buffer.push(Item::Log(log(category, number)), 100, at(second))
    }

    fn numbers(taken: &Taken) -> Vec<u64> {
        match &taken.records {
            Records::Logs(logs) => logs.iter().map(|log| log.duration_ms).collect(),
            Records::Metrics(minutes) => minutes.iter().map(|minute| minute.count).collect(),
        }
    }

    #[test]
    fn batch_is_of_one_category_and_one_hour_and_the_oldest_comes_first() {
        use Category::{DeviceOperations as Device, ServiceOperations as Service};
        let mut buffer = Buffer::default();
        for (category, number, second) in
            [(Device, 1, 0), (Service, 2, 1), (Device, 3, 2), (Device, 4, 3_600)]
        {
            assert!(push(&mut buffer, category, number, second));
        }
        assert!(buffer.push(Item::Metric(minute(5)), 100, at(3)));
        let mut all = Vec::new();
        while let Some(taken) = buffer.take() {
            all.push((taken.received, numbers(&taken)));
            buffer.done(taken.count, taken.bytes);
        }
        let expected = [(at(0), vec![1, 3]), (at(1), vec![2]), (at(3_600), vec![4]), (at(3), vec![5])];
        assert_eq!(all, expected);
        assert!(buffer.is_empty() && buffer.held() == (0, 0));
    }

    #[test]
    fn batch_is_bounded_and_one_record_goes_however_large_it_is() {
        let mut buffer = Buffer::default();
        for number in 0..=MAX_DELIVERY_BATCH as u64 {
            push(&mut buffer, Category::DeviceOperations, number, 0);
        }
        assert!(buffer.has_a_batch());
        assert_eq!([buffer.take().unwrap().count, buffer.take().unwrap().count], [MAX_DELIVERY_BATCH, 1]);
        let mut buffer = Buffer::default();
        for size in [MAX_DELIVERY_BATCH_BYTES + 1, MAX_DELIVERY_BATCH_BYTES, 1] {
            assert!(buffer.push(Item::Metric(minute(1)), size, at(0)));
        }
        let counts: Vec<usize> = std::iter::from_fn(|| buffer.take()).map(|taken| taken.count).collect();
        assert_eq!(counts, [1, 1, 1]);
    }

    #[test]
    fn full_buffer_takes_nothing_until_what_is_under_way_is_done() {
        let mut buffer = Buffer::default();
        for number in 0..MAX_DELIVERY_RECORDS_WAITING as u64 {
            assert!(push(&mut buffer, Category::DeviceOperations, number, 0));
        }
        assert!(!push(&mut buffer, Category::DeviceOperations, 0, 0));
        let taken = buffer.take().unwrap();
        assert!(!push(&mut buffer, Category::DeviceOperations, 0, 0));
        buffer.done(taken.count, taken.bytes);
        assert!(push(&mut buffer, Category::DeviceOperations, 0, 0));

        let mut buffer = Buffer::default();
        assert!(buffer.push(Item::Metric(minute(1)), MAX_DELIVERY_BYTES_WAITING, at(0)));
        assert!(!buffer.push(Item::Metric(minute(1)), 1, at(0)));
    }
}
