#![allow(clippy::cast_precision_loss, reason = "small numbers of a test")]

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, ident, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use dps_kql::{Aggregate, Column, Type};
use proptest::prelude::*;

use super::distinct::Distinct;
use super::udaf::Packed;
use super::*;
use crate::functions::arrow_type;
use crate::functions::datum::{Datum, Reader};
use crate::functions::tests::{array, json, text};

type Rows = Vec<Vec<Datum<'static>>>;

/// Aggregates rows over two partitions, so that state travels, and answers the outputs of each group, by the first column.
async fn grouped(
    types: &[Type],
    rows: &Rows,
    function: Aggregate,
    args: Vec<Expr>,
    arg_types: &[Type],
    outputs: &[Type],
    by: bool,
) -> Result<Rows> {
    let columns: Vec<Column> = outputs.iter().map(|ty| Column { name: String::new(), ty: *ty }).collect();
    let call = aggregate(function, args, arg_types, &columns)?;
    all_grouped(types, rows, &[call], outputs, by).await
}

/// The same of several aggregates, whose outputs stand side by side.
async fn all_grouped(
    types: &[Type],
    rows: &Rows,
    calls: &[AggregateCall],
    outputs: &[Type],
    by: bool,
) -> Result<Rows> {
    let field =
        |(index, ty): (usize, &Type)| Field::new(format!("c{index}"), arrow_type(*ty), *ty != Type::String);
    let schema = Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()));
    let partition = |rows: &[Vec<Datum<'static>>]| {
        let columns = types.iter().enumerate().map(|(index, ty)| {
            let values: Vec<Datum<'_>> = rows.iter().map(|row| row[index].clone()).collect();
            array(*ty, &values)
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    };
    let (left, right) = rows.split_at(rows.len() / 2);
    let table = MemTable::try_new(Arc::clone(&schema), vec![vec![partition(left)], vec![partition(right)]])?;
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let scan = context.read_table(Arc::new(table))?.into_unoptimized_plan();
    let keys = if by { vec![col("c0")] } else { vec![] };
    let mut projected = keys.clone();
    let made =
        calls.iter().enumerate().flat_map(|(index, call)| call.outputs(&ident(format!("found{index}"))));
    projected.extend(made.enumerate().map(|(index, made)| made.alias(format!("o{index}"))));
    let aggregates = calls.iter().enumerate();
    let aggregates = aggregates.map(|(index, call)| call.aggregate.clone().alias(format!("found{index}")));
    let mut plan =
        LogicalPlanBuilder::from(scan).aggregate(keys, aggregates.collect::<Vec<_>>())?.project(projected)?;
    if by {
        plan = plan.sort(vec![col("c0").sort(true, true)])?;
    }
    let batches = context.execute_logical_plan(plan.build()?).await?.collect().await?;
    let mut found = Vec::new();
    for batch in batches {
        let readers: Vec<Reader<'_>> = batch
            .columns()
            .iter()
            .skip(usize::from(by))
            .zip(outputs)
            .map(|(column, ty)| {
                assert_eq!(*column.data_type(), arrow_type(*ty));
                Reader::new(column.as_ref(), *ty, false).unwrap()
            })
            .collect();
        for row in 0..batch.num_rows() {
            found.push(readers.iter().map(|reader| reader.get(row).into_owned()).collect());
        }
    }
    Ok(found)
}

/// Group, a long, a text.
fn rows() -> Rows {
    let row =
        |group: &'static str, value: Datum<'static>, name: &'static str| vec![text(group), value, text(name)];
    vec![
        row("a", Datum::Long(1), "x"),
        row("a", Datum::Long(5), "y"),
        row("b", Datum::Null, "z"),
        row("a", Datum::Null, ""),
        row("a", Datum::Long(5), "w"),
        row("a", Datum::Long(2), "x"),
    ]
}

async fn of(function: Aggregate, args: Vec<Expr>, types: &[Type], output: Type) -> Vec<Datum<'static>> {
    let found =
        grouped(&[Type::String, Type::Long, Type::String], &rows(), function, args, types, &[output], true)
            .await;
    found.unwrap().into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn nulls_count_for_nothing_and_empty_groups_have_kusto_s_values() {
    use Aggregate as A;
    let (value, long) = (|| vec![col("c1")], [Type::Long]);
    assert_eq!(of(A::Count, vec![], &[], Type::Long).await, [Datum::Long(5), Datum::Long(1)]);
    assert_eq!(of(A::Sum, value(), &long, Type::Long).await, [Datum::Long(13), Datum::Long(0)]);
    assert_eq!(of(A::Max, value(), &long, Type::Long).await, [Datum::Long(5), Datum::Null]);
    let averages = of(A::Avg, value(), &long, Type::Real).await;
    assert_eq!(averages[0], Datum::Real(3.25));
    assert!(matches!(averages[1], Datum::Real(value) if value.is_nan()));
    assert_eq!(of(A::Stdev, value(), &long, Type::Real).await[1], Datum::Real(0.0));
    assert_eq!(of(A::CountDistinct, value(), &long, Type::Long).await, [Datum::Long(3), Datum::Long(0)]);
    assert_eq!(of(A::Dcount, value(), &long, Type::Long).await, [Datum::Long(3), Datum::Long(0)]);
    let condition = vec![col("c1"), col("c1").gt(lit(1_i64))];
    assert_eq!(
        of(A::SumIf, condition, &[Type::Long, Type::Bool], Type::Long).await,
        [Datum::Long(12), Datum::Long(0)]
    );
    let condition = vec![col("c1").gt(lit(1_i64))];
    assert_eq!(of(A::CountIf, condition, &[Type::Bool], Type::Long).await, [Datum::Long(3), Datum::Long(0)]);
}

#[tokio::test]
async fn percentile_is_a_value_that_occurs() {
    let at = |percent: i64| {
        of(Aggregate::Percentile, vec![col("c1"), lit(percent)], &[Type::Long, Type::Long], Type::Long)
    };
    assert_eq!(at(50).await, [Datum::Long(2), Datum::Null]);
    assert_eq!(at(95).await, [Datum::Long(5), Datum::Null]);
    let several = vec![col("c1"), lit(0_i64), lit(100.0)];
    let types = [Type::Long, Type::Long, Type::Real];
    assert_eq!(of(Aggregate::PercentilesArray, several, &types, Type::Dynamic).await[0], json("[1,5]"));
    let weighted = vec![col("c1"), col("c1"), lit(30_i64)];
    let types = [Type::Long, Type::Long, Type::Long];
    assert_eq!(of(Aggregate::PercentileWeighted, weighted, &types, Type::Long).await[0], Datum::Long(5));
    let wrong = aggregate(
        Aggregate::Percentile,
        vec![col("c1"), lit(101_i64)],
        &[Type::Long, Type::Long],
        &[Column { name: "p".into(), ty: Type::Long }],
    );
    assert!(wrong.unwrap_err().to_string().contains("between 0 and 100"));
}

#[tokio::test]
async fn collections_have_a_place_for_each_value_and_no_null() {
    use Aggregate as A;
    let mut lists = of(A::MakeList, vec![col("c1")], &[Type::Long], Type::Dynamic).await;
    assert_eq!(lists.remove(1), json("[]"));
    let Datum::Json(list) = lists.remove(0) else { panic!("no list") };
    let mut elements = crate::functions::json::elements(&list).unwrap();
    elements.sort_unstable();
    assert_eq!(elements, ["1", "2", "5", "5"]);
    let two = of(A::MakeList, vec![col("c1"), lit(2_i64)], &[Type::Long, Type::Long], Type::Dynamic).await;
    assert!(
        matches!(&two[0], Datum::Json(list) if crate::functions::json::elements(list).unwrap().len() == 2)
    );
    let sets = of(A::MakeSet, vec![col("c2")], &[Type::String], Type::Dynamic).await;
    assert!(
        matches!(&sets[0], Datum::Json(set) if crate::functions::json::elements(set).unwrap().len() == 4)
    );
    let nulls = of(A::MakeListWithNulls, vec![col("c1")], &[Type::Long], Type::Dynamic).await;
    assert_eq!(nulls[1], json("[null]"));
}

#[tokio::test]
async fn row_of_the_greatest_value_is_carried_whole() {
    let types = [Type::String, Type::Long, Type::String];
    let outputs = [Type::Long, Type::String, Type::String];
    let args = || vec![col("c1"), col("c2"), col("c0")];
    let arg_types = [Type::Long, Type::String, Type::String];
    let found =
        grouped(&types, &rows(), Aggregate::ArgMin, args(), &arg_types, &outputs, true).await.unwrap();
    assert_eq!(found[0], [Datum::Long(1), text("x"), text("a")]);
    // Where every value is null, a row is picked all the same (Kusto: "arg_min").
    assert_eq!(found[1], [Datum::Null, text("z"), text("b")]);
    let found =
        grouped(&types, &rows(), Aggregate::ArgMax, args(), &arg_types, &outputs, false).await.unwrap();
    assert_eq!(found[0][0], Datum::Long(5));
    assert!([text("y"), text("w")].contains(&found[0][1]));
    let any =
        grouped(&types, &rows(), Aggregate::TakeAny, args(), &arg_types, &outputs, false).await.unwrap();
    assert!(!any[0][0].is_null());
}

#[tokio::test]
async fn decimals_reals_and_timespans_are_aggregated_exactly() {
    let types = [Type::String, Type::Decimal, Type::Real, Type::DateTime];
    let row = |decimal: i64, real: f64, ticks: i64| {
        let decimal = Datum::Decimal(crate::functions::decimal::from_long(decimal));
        vec![text("a"), decimal, Datum::Real(real), Datum::DateTime(ticks)]
    };
    let rows =
        vec![row(1, f64::NAN, 10), row(2, -1.5, 1 << 60), row(4, 2.5, (1 << 60) + 2), row(5, f64::NAN, 20)];
    let one = |function: Aggregate, column: &'static str, ty: Type| {
        let rows = rows.clone();
        async move {
            let found = grouped(&types, &rows, function, vec![col(column)], &[ty], &[ty], false).await;
            found.unwrap().remove(0).remove(0)
        }
    };
    let decimal = crate::functions::decimal::from_long;
    assert_eq!(one(Aggregate::Sum, "c1", Type::Decimal).await, Datum::Decimal(decimal(12)));
    assert_eq!(one(Aggregate::Avg, "c1", Type::Decimal).await, Datum::Decimal(decimal(3)));
    assert_eq!(one(Aggregate::Max, "c1", Type::Decimal).await, Datum::Decimal(decimal(5)));
    assert_eq!(one(Aggregate::Max, "c2", Type::Real).await, Datum::Real(2.5));
    assert_eq!(one(Aggregate::Min, "c2", Type::Real).await, Datum::Real(-1.5));
    assert_eq!(one(Aggregate::Avg, "c3", Type::DateTime).await, Datum::DateTime(((1 << 61) + 32) / 4));
}

/// What an aggregate takes, for each: the arguments after a value, and what it yields.
fn shape(function: Aggregate, ty: Type) -> (Vec<Expr>, Vec<Type>, Vec<Type>) {
    use Aggregate as A;
    let value = || col("c1");
    let condition = || col("c1").is_not_null();
    let number = if ty == Type::Int { Type::Long } else { ty };
    match function {
        A::Count => (vec![], vec![], vec![Type::Long]),
        A::CountIf => (vec![condition()], vec![Type::Bool], vec![Type::Long]),
        A::CountDistinct | A::Dcount => (vec![value()], vec![ty], vec![Type::Long]),
        A::CountDistinctIf | A::DcountIf => {
            (vec![value(), condition()], vec![ty, Type::Bool], vec![Type::Long])
        }
        A::Sum => (vec![value()], vec![ty], vec![number]),
        A::SumIf => (vec![value(), condition()], vec![ty, Type::Bool], vec![number]),
        A::Avg | A::Stdev | A::StdevPopulation | A::Variance | A::VariancePopulation => {
            (vec![value()], vec![ty], vec![mean(function, ty)])
        }
        A::AvgIf | A::StdevIf | A::VarianceIf => {
            (vec![value(), condition()], vec![ty, Type::Bool], vec![mean(function, ty)])
        }
        A::Min | A::Max | A::TakeAny | A::BinaryAllAnd | A::BinaryAllOr | A::BinaryAllXor => {
            (vec![value()], vec![ty], vec![ty])
        }
        A::MinIf | A::MaxIf | A::TakeAnyIf => (vec![value(), condition()], vec![ty, Type::Bool], vec![ty]),
        A::Percentile => (vec![value(), lit(50_i64)], vec![ty, Type::Long], vec![ty]),
        A::PercentileWeighted => {
            (vec![value(), lit(2_i64), lit(50_i64)], vec![ty, Type::Long, Type::Long], vec![ty])
        }
        A::PercentilesArray => (vec![value(), lit(50_i64)], vec![ty, Type::Long], vec![Type::Dynamic]),
        A::MakeList | A::MakeListWithNulls | A::MakeSet | A::MakeBag => {
            (vec![value()], vec![ty], vec![Type::Dynamic])
        }
        A::MakeListIf | A::MakeSetIf | A::MakeBagIf => {
            (vec![value(), condition()], vec![ty, Type::Bool], vec![Type::Dynamic])
        }
        A::ArgMax | A::ArgMin => (vec![value(), col("c0")], vec![ty, Type::String], vec![ty, Type::String]),
    }
}

fn mean(function: Aggregate, ty: Type) -> Type {
    let keeps = matches!(function, Aggregate::Avg | Aggregate::AvgIf)
        && matches!(ty, Type::Decimal | Type::TimeSpan | Type::DateTime);
    if keeps { ty } else { Type::Real }
}

/// Whether it is an aggregate of such values at all.
fn fits(function: Aggregate, ty: Type) -> bool {
    use Aggregate as A;
    let number = !matches!(ty, Type::Dynamic | Type::String | Type::Bool);
    match function {
        A::BinaryAllAnd | A::BinaryAllOr | A::BinaryAllXor => ty == Type::Long,
        A::MakeBag | A::MakeBagIf => ty == Type::Dynamic,
        A::Sum | A::SumIf => number && ty != Type::DateTime,
        A::Avg | A::AvgIf | A::Percentile | A::PercentileWeighted | A::PercentilesArray => number,
        A::Stdev | A::StdevIf | A::StdevPopulation | A::Variance | A::VarianceIf | A::VariancePopulation => {
            number
        }
        _ => true,
    }
}

#[tokio::test]
async fn every_aggregate_runs_over_values_and_over_nothing() {
    let values = [
        (Type::Long, Datum::Long(i64::MAX)),
        (Type::Int, Datum::Int(i32::MIN)),
        (Type::Real, Datum::Real(1e308)),
        (Type::Decimal, Datum::Decimal(10_i128.pow(38) - 1)),
        (Type::TimeSpan, Datum::TimeSpan(i64::MIN)),
        (Type::DateTime, Datum::DateTime(1)),
        (Type::Dynamic, json("{\"a\":1}")),
        (Type::String, text("x")),
        (Type::Bool, Datum::Bool(true)),
    ];
    for (ty, value) in values {
        let rows: Rows = (0..6).map(|_| vec![text("a"), value.clone()]).collect();
        let (mut calls, mut outputs) = (Vec::new(), Vec::new());
        for function in Aggregate::ALL.iter().copied().filter(|function| fits(*function, ty)) {
            let (args, arg_types, yields) = shape(function, ty);
            let columns: Vec<Column> =
                yields.iter().map(|ty| Column { name: String::new(), ty: *ty }).collect();
            calls.push(aggregate(function, args, &arg_types, &columns).unwrap());
            outputs.extend(yields);
        }
        assert!(calls.len() > 15);
        for (rows, by) in [(&rows, true), (&Vec::new(), false)] {
            let found = all_grouped(&[Type::String, ty], rows, &calls, &outputs, by).await;
            let found = found.unwrap_or_else(|error| panic!("of {}: {error}", ty.name()));
            assert_eq!(found.len(), 1, "{}", ty.name());
        }
    }
}

proptest! {
    #[test]
    fn estimate_of_many_distinct_values_is_near(count in 1_u64..60_000, split in 0_u64..60_000) {
        let hash = |value: u64| twox_hash::XxHash64::oneshot(0, &value.to_le_bytes());
        let (mut left, mut right) = (Distinct::default(), Distinct::default());
        for value in 0..count {
            if value < split { left.add(hash(value)) } else { right.add(hash(value)) }
        }
        prop_assert!(left.unpack(&right.pack()));
        let error = (left.estimate() as f64 - count as f64).abs() / count as f64;
        prop_assert!(error < 0.05, "{} for {}", left.estimate(), count);
    }
}
