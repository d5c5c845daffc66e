//! The hubs that are nearest to a device. Pure; must not know where latencies come from.

use dps_model::hub::LinkedHub;

/// The hubs that share the lowest latency; all of them where none is known. A hub of unknown latency is farther than
/// any of a known one.
pub(super) fn nearest<'a>(hubs: &[(&'a LinkedHub, Option<u32>)]) -> Vec<&'a LinkedHub> {
    let lowest = hubs.iter().filter_map(|(_, latency)| *latency).min();
    hubs.iter().filter(|(_, latency)| *latency == lowest || lowest.is_none()).map(|(hub, _)| *hub).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::fixtures::instance_with_hubs;

    #[test]
    fn lowest_known_latency_wins_and_ties_stay() {
        let instance = instance_with_hubs(&["a", "b", "c"]);
        for (latencies, expected) in [
            ([Some(3), Some(2), Some(9)], vec!["b"]),
            ([Some(2), Some(2), None], vec!["a", "b"]),
            ([None, None, Some(900)], vec!["c"]),
            ([None, None, None], vec!["a", "b", "c"]),
        ] {
            let hubs: Vec<_> = instance.linked_hubs.iter().zip(latencies).collect();
            let names: Vec<_> = nearest(&hubs).iter().map(|hub| hub.name.as_str()).collect();
            assert_eq!(names, expected);
        }
    }
}
