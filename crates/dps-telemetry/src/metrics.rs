//! All metrics as one OTLP request: cumulative sums and histograms since the start, and gauges. Must not know what is
//! counted.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::exporter::scope;
use crate::open_metrics::{self, Family, Sample};

/// When something was counted, in nanoseconds since 1970.
#[derive(Clone, Copy)]
pub struct Times {
    /// Counting began.
    pub start: u64,
    /// Now.
    pub now: u64,
}

/// The request for a text as `/metrics` shows it.
pub fn request(text: &str, resource: Resource, times: Times) -> ExportMetricsServiceRequest {
    let metrics = open_metrics::families(text).iter().filter_map(|family| metric(family, times)).collect();
    let scope = ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() };
    let resource = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

fn metric(family: &Family<'_>, times: Times) -> Option<Metric> {
    if family.samples.is_empty() {
        return None;
    }
    let numbers = || family.samples.iter().map(|sample| number(sample, times)).collect();
    let data = match family.kind {
        "counter" => Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        "histogram" => Data::Histogram(Histogram {
            data_points: histograms(family, times),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        _ => Data::Gauge(Gauge { data_points: numbers() }),
    };
    let unit = match family.unit {
        "seconds" => "s",
        "bytes" => "By",
        other => other,
    };
    Some(Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn number(sample: &Sample<'_>, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        value: Some(number_data_point::Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}

/// A point for each set of labels, of its lines for sum, count and buckets. Buckets count from the bottom there, and each
/// for itself here.
fn histograms(family: &Family<'_>, times: Times) -> Vec<HistogramDataPoint> {
    let mut points: BTreeMap<Vec<(&str, String)>, HistogramDataPoint> = BTreeMap::new();
    for sample in &family.samples {
        let is_bound = |label: &&(&str, String)| label.0 == "le";
        let labels: Vec<_> = sample.labels.iter().filter(|label| !is_bound(label)).cloned().collect();
        let point = points.entry(labels).or_default();
        match sample.name.strip_prefix(family.name) {
            Some("_sum") => point.sum = Some(sample.value),
            Some("_count") => point.count = whole(sample.value),
            Some("_bucket") => {
                let bound =
                    sample.labels.iter().find(is_bound).and_then(|(_, text)| text.parse::<f64>().ok());
                if let Some(bound) = bound.filter(|bound| bound.is_finite()) {
                    point.explicit_bounds.push(bound);
                }
                let below: u64 = point.bucket_counts.iter().sum();
                point.bucket_counts.push(whole(sample.value).saturating_sub(below));
                point.exemplars.extend(exemplar(sample, times));
            }
            _ => {}
        }
    }
    let finished = points.into_iter().map(|(labels, point)| HistogramDataPoint {
        attributes: attributes(&labels),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        ..point
    });
    finished.collect()
}

fn exemplar(sample: &Sample<'_>, times: Times) -> Option<Exemplar> {
    let example = sample.example.as_ref()?;
    let trace = u128::from_str_radix(&example.trace, 16).ok()?;
    Some(Exemplar {
        trace_id: trace.to_be_bytes().to_vec(),
        time_unix_nano: times.now,
        value: Some(exemplar::Value::AsDouble(example.value)),
        ..Exemplar::default()
    })
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&str, String)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    labels.iter().map(attribute).collect()
}

/// A count that was written as a number with a fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts are whole, not below 0 and below 2^53
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::{Times, request};

    #[test]
    fn histogram_has_its_buckets_each_for_itself_and_an_example() {
        let text = "# HELP t_seconds Time.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\n\
                    t_seconds_sum{step=\"a\"} 1.5\nt_seconds_count{step=\"a\"} 6\n\
                    t_seconds_bucket{le=\"0.1\",step=\"a\"} 2\n\
                    t_seconds_bucket{le=\"1.0\",step=\"a\"} 5 # {trace_id=\"0000000000000000000000000000000a\"} 0.5\n\
                    t_seconds_bucket{le=\"+Inf\",step=\"a\"} 6\n# HELP c Count.\n# TYPE c counter\nc_total 3\n# EOF\n";
        let request = request(text, Resource::default(), Times { start: 1, now: 2 });
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("no histogram") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum, &*metrics[0].unit), (6, Some(1.5), "s"));
        assert_eq!(point.bucket_counts, [2, 3, 1]);
        assert_eq!(point.explicit_bounds, [0.1, 1.0]);
        assert_eq!((point.attributes.len(), point.exemplars[0].trace_id[15]), (1, 10));
        let Some(Data::Sum(sum)) = &metrics[1].data else { panic!("no sum") };
        assert!(sum.is_monotonic && sum.data_points[0].start_time_unix_nano == 1);
    }
}
