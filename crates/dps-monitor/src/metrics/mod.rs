//! Metrics: what is counted, minute by minute, and how it is asked for. Owns definitions, points, rollups, filters and
//! the folding of grains; must not know who asks, nor what else becomes of an event.
//!
//! A point is folded into the minute of its series in memory and is readable from then on. An hour of a series is one
//! document of the state, which always holds absolute figures: writing it twice changes nothing.

mod definition;
mod document;
mod filter;
#[cfg(test)]
pub(crate) mod fixtures;
mod grain;
mod point;
mod read;
mod rollup;
mod rollups;

pub use definition::{Aggregation, Definition, Metric, Namespace, Unit};
pub use filter::{Condition, Filter, FilterError, Group, Subject, Test};
pub use grain::{Grain, Span, SpanError, duration, iso_minutes};
pub use point::{Point, Sample, points};
pub use read::{Budget, Order, Question, ReadError, Resource, Timeseries, Values};
pub use rollup::Rollup;
pub use rollups::Rollups;
