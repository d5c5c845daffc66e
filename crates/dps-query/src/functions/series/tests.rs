#![allow(clippy::float_cmp, clippy::cast_precision_loss, reason = "small numbers of a test")]

use dps_kql::{Scalar, Type};

use crate::functions::datum::Datum;
use crate::functions::json;
use crate::functions::tests::{json as dynamic, run};

fn series(function: Scalar, args: &[Datum<'static>]) -> String {
    match run(function, args, Type::Dynamic) {
        Datum::Json(text) => text.into_owned(),
        other => format!("{other:?}"),
    }
}

fn numbers(text: &str) -> Vec<f64> {
    json::elements(text).unwrap().into_iter().map(|element| json::scalar(element).real().unwrap()).collect()
}

/// The numbers of one of several results.
fn part(text: &str, index: usize) -> Vec<f64> {
    numbers(json::elements(text).unwrap()[index])
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= wanted.abs() * 1e-3 + 1e-9, "{found} is not {wanted}");
}

fn as_json(values: impl Iterator<Item = f64>) -> Datum<'static> {
    Datum::json(format!("[{}]", values.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(",")))
}

#[test]
fn line_is_that_of_least_squares() {
    // The figures are the reference's, for this series.
    let fit = series(Scalar::SeriesFitLine, &[dynamic("[2,5,6,8,11,15,17,18,25,26,30,30]")]);
    let parts = json::elements(&fit).unwrap();
    for (index, wanted) in [0.982, 2.730, 98.628, 1.686, -1.666].into_iter().enumerate() {
        near(json::scalar(parts[index]).real().unwrap(), wanted);
    }
    near(part(&fit, 5)[11], 28.371 + 2.730);
    assert_eq!(series(Scalar::SeriesFitLine, &[dynamic("[1,null,2]")]), "Null");
}

#[test]
fn two_lines_break_where_the_series_does() {
    let values = (0..20).map(|x| if x < 12 { f64::from(x) } else { 50.0 - 3.0 * f64::from(x) });
    let fit = series(Scalar::SeriesFit2Lines, &[as_json(values)]);
    let parts = json::elements(&fit).unwrap();
    assert_eq!(parts[1], "12");
    near(json::scalar(parts[0]).real().unwrap(), 1.0);
    near(json::scalar(parts[6]).real().unwrap(), -3.0);
    near(json::scalar(parts[11]).real().unwrap(), 1.0);
    assert_eq!(parts.len(), 15);
}

#[test]
fn what_is_missing_is_filled() {
    let holes = || dynamic("[null,10,null,null,40,null]");
    assert_eq!(series(Scalar::SeriesFillForward, &[holes()]), "[null,10,10,10,40,40]");
    assert_eq!(series(Scalar::SeriesFillBackward, &[holes()]), "[10,10,40,40,40,null]");
    assert_eq!(series(Scalar::SeriesFillLinear, &[holes()]), "[10,10,20,30,40,40]");
    let edges = [holes(), Datum::Null, Datum::Bool(false)];
    assert_eq!(series(Scalar::SeriesFillLinear, &edges), "[null,10,20,30,40,null]");
    assert_eq!(series(Scalar::SeriesFillLinear, &[dynamic("[null,null]")]), "[0.0,0.0]");
    assert_eq!(
        series(Scalar::SeriesFillConst, &[dynamic("[-1,2]"), Datum::Long(7), Datum::Long(-1)]),
        "[7,2]"
    );
}

#[test]
fn statistics_of_a_series_are_its_sample_s() {
    let stats = series(Scalar::SeriesStats, &[dynamic("[3,1,4,1,5]")]);
    assert_eq!(stats, format!("[1,1,5,4,2.8,{:?},3.2]", 3.2_f64.sqrt()));
    assert_eq!(series(Scalar::SeriesStats, &[dynamic("[3,null]")]), "[null,null,null,null,null,null,null]");
    let ignoring = series(Scalar::SeriesStatsDynamic, &[dynamic("[3,null]"), Datum::Bool(true)]);
    assert!(ignoring.starts_with("{\"min\":3,\"min_idx\":0,"), "{ignoring}");
}

#[test]
fn arithmetic_of_series_is_element_by_element() {
    let (left, right) = (|| dynamic("[1,2,4]"), || dynamic("[4,2,0]"));
    assert_eq!(series(Scalar::SeriesAdd, &[left(), right()]), "[5,4,4]");
    assert_eq!(series(Scalar::SeriesMultiply, &[left(), Datum::Long(10)]), "[10,20,40]");
    assert_eq!(series(Scalar::SeriesDivide, &[left(), dynamic("[2,2]")]), "[0.5,1.0,null]");
    assert_eq!(series(Scalar::SeriesGreater, &[left(), right()]), "[false,false,true]");
    assert_eq!(run(Scalar::SeriesDotProduct, &[left(), right()], Type::Real), Datum::Real(8.0));
    assert_eq!(run(Scalar::SeriesMagnitude, &[dynamic("[3,4]")], Type::Real), Datum::Real(5.0));
    let line = run(Scalar::SeriesPearsonCorrelation, &[left(), dynamic("[2,4,8]")], Type::Real);
    near(line.real().unwrap(), 1.0);
    assert_eq!(series(Scalar::SeriesSign, &[dynamic("[-2.5,0,3]")]), "[-1,0,1]");
}

#[test]
fn filters_average_and_feed_back() {
    let pulse = || dynamic("[0,0,3,0,0]");
    assert_eq!(series(Scalar::SeriesFir, &[pulse(), dynamic("[1,1,1]")]), "[0.0,0.0,1.0,1.0,1.0]");
    let centred = [pulse(), dynamic("[1,1,1]"), Datum::Bool(true), Datum::Bool(true)];
    assert_eq!(series(Scalar::SeriesFir, &centred), "[0.0,1.0,1.0,1.0,0.0]");
    assert_eq!(series(Scalar::SeriesFir, &[dynamic("[1,3,6]"), dynamic("[1,-1]")]), "[1.0,2.0,3.0]");
    // A sum so far.
    assert_eq!(
        series(Scalar::SeriesIir, &[dynamic("[1,2,3]"), dynamic("[1]"), dynamic("[1,-1]")]),
        "[1.0,3.0,6.0]"
    );
}

/// Four weeks of days with a weekly shape.
fn weekly(extra: impl Fn(usize) -> f64) -> Datum<'static> {
    let shape = [10.0, 12.0, 13.0, 12.0, 11.0, 4.0, 3.0];
    as_json((0..28).map(|day| shape[day % 7] + extra(day)))
}

#[test]
fn period_of_a_weekly_series_is_seven() {
    let found = series(
        Scalar::SeriesPeriodsDetect,
        &[weekly(|_| 0.0), Datum::Real(4.0), Datum::Real(14.0), Datum::Long(2)],
    );
    assert_eq!(part(&found, 0), [7.0, 0.0]);
    assert!(part(&found, 1)[0] > 0.9);
    let checked =
        series(Scalar::SeriesPeriodsValidate, &[weekly(|_| 0.0), Datum::Real(7.0), Datum::Real(3.0)]);
    assert!(part(&checked, 1)[0] > 0.9);
    assert_eq!(part(&checked, 1)[1], 0.0);
}

#[test]
fn anomaly_in_a_weekly_series_is_flagged_where_it_is() {
    let spike = |day: usize| if day == 16 { 30.0 } else { (day % 3) as f64 * 0.1 };
    let args = [weekly(spike), Datum::Real(1.5), Datum::Long(7)];
    let found = series(Scalar::SeriesDecomposeAnomalies, &args);
    let flags = part(&found, 0);
    assert_eq!(flags.iter().filter(|flag| **flag > 0.0).count(), 1);
    assert_eq!(flags[16], 1.0);
    let parts = series(Scalar::SeriesDecompose, &[weekly(|_| 0.0), Datum::Long(7)]);
    assert_eq!(part(&parts, 3), vec![0.0; 28]);
    let trend = |day: usize| if day < 21 { day as f64 } else { 0.0 };
    let forecast = series(
        Scalar::SeriesDecomposeForecast,
        &[weekly(trend), Datum::Long(7), Datum::Long(0), Datum::Text("linefit".into())],
    );
    assert!(numbers(&forecast)[27] > numbers(&forecast)[20]);
    let outliers = numbers(&series(Scalar::SeriesOutliers, &[dynamic("[1,2,3,2,1,2,3,50]")]));
    assert!(outliers[7] > 1.5 && outliers[..7].iter().all(|score| *score < 1.5), "{outliers:?}");
}
