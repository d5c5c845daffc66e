//! The four figures of which every aggregation can be made: sum, count, least and greatest (docs: "Azure Monitor metrics
//! aggregation and display explained"). Coarser grains fold them; an average is never folded.

use super::definition::Aggregation;

/// Points of a minute, or of more, folded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rollup {
    /// Sum of the values.
    pub sum: f64,
    /// Number of points.
    pub count: u64,
    /// Least value.
    pub minimum: f64,
    /// Greatest value.
    pub maximum: f64,
}

impl Rollup {
    /// Of one point.
    pub fn of(value: f64) -> Self {
        Self { sum: value, count: 1, minimum: value, maximum: value }
    }

    /// With the points of another.
    pub fn fold(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count = self.count.saturating_add(other.count);
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }

    /// Its value.
    #[allow(clippy::cast_precision_loss, reason = "points are fewer than 2^53")]
    pub fn value(&self, aggregation: Aggregation) -> f64 {
        match aggregation {
            Aggregation::Average => self.sum / (self.count.max(1) as f64),
            Aggregation::Count => self.count as f64,
            Aggregation::Minimum => self.minimum,
            Aggregation::Maximum => self.maximum,
            Aggregation::Total => self.sum,
        }
    }
}

/// Folds into a place that may be empty: nothing is not nought.
pub(super) fn fold_into(place: &mut Option<Rollup>, rollup: &Rollup) {
    match place {
        Some(there) => there.fold(rollup),
        None => *place = Some(*rollup),
    }
}

#[cfg(test)]
mod tests {
    use super::Rollup;
    use crate::metrics::Aggregation;

    #[test]
    fn average_is_of_all_points_and_not_of_averages() {
        let mut first = Rollup::of(1.0);
        first.fold(&Rollup::of(2.0));
        first.fold(&Rollup::of(3.0));
        first.fold(&Rollup::of(10.0));
        let values = Aggregation::ALL.map(|aggregation| first.value(aggregation));
        assert_eq!(values.map(|value| value.to_string()), ["4", "4", "1", "10", "16"]);
    }
}
