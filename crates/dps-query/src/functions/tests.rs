use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use super::datum::{Datum, Reader, Writer};
use super::kernel::kernel;
use super::udf::Call;
use super::*;

pub(super) fn call(function: Scalar, ty: Type) -> Call {
    Call { function, ty, regexes: super::regex::Regexes::default() }
}

/// The kernel's answer.
pub(super) fn run<'a>(function: Scalar, args: &[Datum<'a>], ty: Type) -> Datum<'a> {
    kernel(function).unwrap()(&call(function, ty), args)
}

pub(super) fn text(text: &str) -> Datum<'_> {
    Datum::Text(text.into())
}

pub(super) fn json(text: &str) -> Datum<'_> {
    Datum::Json(text.into())
}

pub(super) fn instant(text: &str) -> Datum<'static> {
    Datum::DateTime(time::datetime(text).unwrap())
}

pub(super) fn span(text: &str) -> Datum<'static> {
    Datum::TimeSpan(time::timespan(text).unwrap())
}

pub(super) fn array(ty: Type, values: &[Datum<'_>]) -> ArrayRef {
    let mut to = Writer::new(ty, values.len());
    for value in values {
        to.push(value).unwrap();
    }
    to.finish().unwrap()
}

static CONTEXT: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);

/// The expression over columns `c0`, `c1` …, through the planner.
pub(super) fn evaluate(expr: &Expr, columns: &[(Type, ArrayRef)]) -> Result<ArrayRef> {
    let field = |(index, (ty, _)): (usize, &(Type, ArrayRef))| {
        Field::new(format!("c{index}"), arrow_type(*ty), *ty != Type::String)
    };
    let schema = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()));
    let arrays: Vec<ArrayRef> = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let rows = arrays.first().map_or(1, Array::len);
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
    let schema = DFSchema::try_from(schema)?;
    CONTEXT.create_physical_expr(expr.clone(), &schema)?.evaluate(&batch)?.into_array(rows)
}

fn columns_of(types: &[Type]) -> Vec<Expr> {
    (0..types.len()).map(|index| col(format!("c{index}"))).collect()
}

fn literal_of(value: &Datum<'_>, ty: Type) -> Expr {
    let array = array(ty, std::slice::from_ref(value));
    Expr::Literal(ScalarValue::try_from_array(&array, 0).unwrap(), None)
}

const TYPES: [Type; 10] = [
    Type::Bool,
    Type::Int,
    Type::Long,
    Type::Real,
    Type::Decimal,
    Type::String,
    Type::DateTime,
    Type::TimeSpan,
    Type::Guid,
    Type::Dynamic,
];

fn any_value(ty: Type) -> BoxedStrategy<Datum<'static>> {
    let long = || prop_oneof![any::<i64>(), -3_i64..40, Just(i64::MIN), Just(i64::MAX)];
    let value = match ty {
        Type::Bool => any::<bool>().prop_map(Datum::Bool).boxed(),
        Type::Int => any::<i32>().prop_map(Datum::Int).boxed(),
        Type::Long => long().prop_map(Datum::Long).boxed(),
        Type::Real => {
            let special =
                prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0, 0.5, 1e300, -1e300, 5e-324]);
            prop_oneof![any::<f64>(), special, -5.0..100.0].prop_map(Datum::Real).boxed()
        }
        Type::Decimal => any::<i128>().prop_map(|value| Datum::Decimal(value / 10)).boxed(),
        Type::String => {
            let special = prop::sample::select(vec![
                "",
                " ",
                "a_b",
                "Error 401 in hub-7",
                "2026-03-04T05:06:07Z",
                "1.5h",
                "[1,2",
                "(",
                "[^a-z]+",
                "%zz",
                "10.0.0.1/24",
                "https://u:p@h:80/p/a?k=v#f",
                "{\"a\":[1,null,{\"b\":\"c\"}]}",
                "yyyy-MM-dd",
                "week",
                "İstanbul ſ K",
                "1.2.3.4",
                "\\1$0",
                "linefit",
                "regex",
                "US/Pacific",
                "{12345678-1234-1234-1234-123456789012}",
            ]);
            prop_oneof![special.prop_map(str::to_owned), ".{0,12}"].prop_map(Datum::text).boxed()
        }
        Type::DateTime => long().prop_map(Datum::DateTime).boxed(),
        Type::TimeSpan => long().prop_map(Datum::TimeSpan).boxed(),
        Type::Guid => any::<u128>()
            .prop_map(|value| Datum::Guid(uuid::Uuid::from_u128(value).to_string().into()))
            .boxed(),
        Type::Dynamic => {
            let special = prop::sample::select(vec![
                "null",
                "1",
                "1.5",
                "\"x\"",
                "[]",
                "{}",
                "[1,2,3,null,5]",
                "[1.5,\"a\",{},[2]]",
                "{\"a\":{\"b\":[1]},\"c\":\"d\"}",
                "[\"$.a.b\",\"c\"]",
                "[true,false,null]",
                "[9223372036854775807,-1]",
                "[1e308,1e308,-1e308]",
                "[4,4,4,4,4,4,4,4]",
                "[1,5,2,8,1,5,2,8,1,5,2,8,1,5,2,9]",
                "[",
                "{\"a\"",
                "x",
            ]);
            special.prop_map(|value| Datum::Json(value.into())).boxed()
        }
    };
    prop_oneof![1 => Just(Datum::Null), 9 => value].boxed()
}

fn any_args() -> impl Strategy<Value = Vec<Datum<'static>>> {
    let any = prop::sample::select(TYPES.to_vec()).prop_flat_map(any_value);
    prop::collection::vec(any, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    // Whatever a function is given, it answers.
    #[test]
    fn any_function_of_any_values_does_not_panic(args in any_args(), ty in prop::sample::select(TYPES.to_vec())) {
        for function in Scalar::ALL {
            let _ = run(*function, &args, ty);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // The same through the planner, with columns and with literals behind the first.
    #[test]
    fn any_call_of_columns_or_literals_is_an_answer_or_an_error(
        rows in prop::sample::select(TYPES.to_vec()).prop_flat_map(|ty| {
            (Just(ty), prop::collection::vec(any_value(ty), 1..4))
        }),
        others in any_args(),
        others_types in prop::collection::vec(prop::sample::select(TYPES.to_vec()), 6),
    ) {
        let (ty, values) = rows;
        let column = array(ty, &values);
        let mut types = vec![ty];
        types.extend(others_types.iter().take(others.len()));
        let mut args = vec![col("c0")];
        args.extend(others.iter().zip(types.iter().skip(1)).map(|(value, ty)| literal_of(value, *ty)));
        for function in Scalar::ALL {
            for result in [Type::Bool, Type::String, ty] {
                let Ok(expr) = scalar(*function, args.clone(), &types, result) else { continue };
                if let Ok(found) = evaluate(&expr, &[(ty, Arc::clone(&column))]) {
                    prop_assert_eq!(found.len(), values.len());
                    if result == Type::String && *found.data_type() == arrow_type(Type::String) && types.iter().all(|ty| *ty == Type::String) {
                        prop_assert_eq!(found.null_count(), 0, "{}", function.name());
                    }
                }
            }
        }
    }
}

proptest! {
    // A shortcut is no other function.
    #[test]
    fn shortcut_over_columns_agrees_with_the_kernel(
        texts in prop::collection::vec(any_value(Type::String), 1..20),
        needle in prop_oneof![any_value(Type::String), "[a-zA-Z0-9_ ]{0,3}".prop_map(Datum::text)],
    ) {
        let column = array(Type::String, &texts);
        let one = array(Type::String, std::slice::from_ref(&needle));
        let readers = [
            Reader::new(&column, Type::String, false).unwrap(),
            Reader::new(&one, Type::String, true).unwrap(),
        ];
        for function in Scalar::ALL {
            let call = call(*function, Type::Bool);
            let Some(found) = vector::run(&call, &readers, texts.len()) else { continue };
            let found = Reader::new(&found, Type::Bool, false).unwrap();
            for row in 0..texts.len() {
                let args = [readers[0].get(row), readers[1].get(row)];
                prop_assert_eq!(found.get(row), kernel(*function).unwrap()(&call, &args), "{} {:?}", function.name(), args);
            }
        }
    }

    #[test]
    fn shortcut_over_numbers_agrees_with_the_kernel(
        values in prop::collection::vec(any_value(Type::Long), 1..20),
        by in any_value(Type::Long),
    ) {
        let column = array(Type::Long, &values);
        let one = array(Type::Long, std::slice::from_ref(&by));
        let readers =
            [Reader::new(&column, Type::Long, false).unwrap(), Reader::new(&one, Type::Long, true).unwrap()];
        for function in Scalar::ALL {
            for ty in [Type::Long, Type::Bool] {
                let call = call(*function, ty);
                let Some(found) = vector::run(&call, &readers, values.len()) else { continue };
                let is_test = matches!(function, Scalar::Equal | Scalar::NotEqual);
                let ty = if is_test { Type::Bool } else { Type::Long };
                let found = Reader::new(&found, ty, false).unwrap();
                for row in 0..values.len() {
                    let args = [readers[0].get(row), readers[1].get(row)];
                    let expected = kernel(*function).unwrap()(&call, &args);
                    prop_assert_eq!(found.get(row), expected, "{} {:?}", function.name(), args);
                }
            }
        }
    }

    // What is native means the same as the kernel of the same name.
    #[test]
    fn native_expression_agrees_with_the_kernel(
        (ty, left, right) in prop::sample::select(TYPES.to_vec())
            .prop_flat_map(|ty| (Just(ty), any_value(ty), any_value(ty))),
        literal in any::<bool>(),
    ) {
        use Scalar as S;
        let columns = [(ty, array(ty, std::slice::from_ref(&left))), (ty, array(ty, std::slice::from_ref(&right)))];
        // A decimal that is out of range has become null on the way.
        let value = |index: usize| Reader::new(columns[index].1.as_ref(), ty, false).unwrap().get(0);
        let args = [value(0), value(1)];
        let mut exprs = columns_of(&[ty, ty]);
        if literal {
            exprs[1] = literal_of(&right, ty);
        }
        let number = matches!(ty, Type::Int | Type::Long | Type::Real | Type::TimeSpan);
        let arithmetic = if number { vec![S::Add, S::Subtract] } else { vec![] };
        let products = if number && ty != Type::TimeSpan { vec![S::Multiply, S::Divide, S::Modulo] } else { vec![] };
        let predicates =
            [S::Equal, S::NotEqual, S::Less, S::LessOrEqual, S::Greater, S::GreaterOrEqual, S::In, S::NotIn];
        let yields = |function: &Scalar| if predicates.contains(function) { Type::Bool } else { ty };
        for function in predicates.iter().copied().chain(arithmetic).chain(products) {
            let result = yields(&function);
            let expr = scalar(function, exprs.clone(), &[ty, ty], result).unwrap();
            let found = evaluate(&expr, &columns).unwrap();
            let expected = array(result, &[run(function, &args, result)]);
            if matches!(function, S::Add | S::Subtract) && ty == Type::TimeSpan {
                // The kernel says null where the native one wraps.
                if expected.is_null(0) { continue; }
            }
            prop_assert_eq!(format!("{:?}", found), format!("{:?}", expected), "{} {:?}", function.name(), args);
        }
    }
}

#[test]
fn null_against_a_value_is_unequal_and_null_against_null_is_null() {
    let column = (Type::Long, array(Type::Long, &[Datum::Null, Datum::Long(5), Datum::Long(6)]));
    let five = literal_of(&Datum::Long(5), Type::Long);
    let found = |function: Scalar, right: Expr| {
        let expr = scalar(function, vec![col("c0"), right], &[Type::Long, Type::Long], Type::Bool).unwrap();
        let found = evaluate(&expr, std::slice::from_ref(&column)).unwrap();
        let found = Reader::new(&found, Type::Bool, false).unwrap();
        [0, 1, 2].map(|row| found.get(row).into_owned())
    };
    assert_eq!(
        found(Scalar::Equal, five.clone()),
        [Datum::Bool(false), Datum::Bool(true), Datum::Bool(false)]
    );
    assert_eq!(
        found(Scalar::NotEqual, five.clone()),
        [Datum::Bool(true), Datum::Bool(false), Datum::Bool(true)]
    );
    assert_eq!(found(Scalar::Greater, five), [Datum::Null, Datum::Bool(false), Datum::Bool(true)]);
    let null = literal_of(&Datum::Null, Type::Long);
    assert_eq!(found(Scalar::Equal, null), [Datum::Null, Datum::Bool(false), Datum::Bool(false)]);
}

#[test]
fn pattern_that_is_no_regular_expression_is_refused_before_it_runs() {
    let pattern = literal_of(&text("(a"), Type::String);
    let expr =
        scalar(Scalar::MatchesRegex, vec![col("c0"), pattern], &[Type::String, Type::String], Type::Bool);
    assert!(expr.unwrap_err().to_string().contains("not valid"));
    let bomb = literal_of(&text("(a{1000}){1000}"), Type::String);
    assert!(
        scalar(Scalar::MatchesRegex, vec![col("c0"), bomb], &[Type::String, Type::String], Type::Bool)
            .is_err()
    );
}

#[test]
fn conversion_that_fails_is_null_and_of_text_is_empty() {
    let convert = |function: Scalar, value: Datum<'static>, ty: Type| run(function, &[value], ty);
    assert_eq!(convert(Scalar::ToLong, text("x"), Type::Long), Datum::Null);
    assert_eq!(convert(Scalar::ToLong, text(" 42 "), Type::Long), Datum::Long(42));
    assert_eq!(convert(Scalar::ToLong, json("\"42\""), Type::Long), Datum::Long(42));
    assert_eq!(convert(Scalar::ToLong, Datum::Real(-3.9), Type::Long), Datum::Long(-3));
    assert_eq!(convert(Scalar::ToInt, Datum::Long(1 << 32), Type::Int), Datum::Int(0));
    assert_eq!(convert(Scalar::ToBool, text("TRUE"), Type::Bool), Datum::Bool(true));
    assert_eq!(convert(Scalar::ToString, Datum::Null, Type::String), text(""));
    assert_eq!(convert(Scalar::ToString, Datum::Bool(true), Type::String), text("True"));
    assert_eq!(convert(Scalar::ToString, json("\"a\\nb\""), Type::String), text("a\nb"));
    assert_eq!(convert(Scalar::ToString, json("{\"a\":1}"), Type::String), text("{\"a\":1}"));
    assert_eq!(convert(Scalar::ToString, Datum::Real(2.0), Type::String), text("2.0"));
    assert_eq!(convert(Scalar::ToDateTime, text("2026-03-04"), Type::DateTime), instant("2026-03-04"));
    assert_eq!(convert(Scalar::ToTimeSpan, text("1.02:00"), Type::TimeSpan), span("26h").clone_or("1.02:00"));
    assert_eq!(convert(Scalar::ToDynamic, text(" {\"a\" : [1, 2]} "), Type::Dynamic), json("{\"a\":[1,2]}"));
    assert_eq!(convert(Scalar::ToDynamic, text("not json"), Type::Dynamic), json("\"not json\""));
    assert_eq!(convert(Scalar::ToDynamic, text(""), Type::Dynamic), Datum::Null);
    let guid = text("{74BE27DE-1E4E-49D9-B579-FE0B331D3642}");
    let canonical = Datum::Guid("74be27de-1e4e-49d9-b579-fe0b331d3642".into());
    assert_eq!(convert(Scalar::ToGuid, guid, Type::Guid), canonical);
}

impl Datum<'static> {
    /// The same, said in another way.
    fn clone_or(self, other: &str) -> Self {
        assert_eq!(self, span(other));
        self
    }
}

#[test]
fn arithmetic_keeps_kusto_s_nulls_and_signs() {
    let long = |function: Scalar, left: i64, right: i64| {
        run(function, &[Datum::Long(left), Datum::Long(right)], Type::Long)
    };
    assert_eq!(long(Scalar::Divide, 7, 2), Datum::Long(3));
    assert_eq!(long(Scalar::Divide, 7, 0), Datum::Null);
    assert_eq!(long(Scalar::Modulo, -7, 5), Datum::Long(3));
    assert_eq!(long(Scalar::Add, i64::MAX, 1), Datum::Long(i64::MIN));
    let day = span("1d");
    let (early, late) = (instant("2026-03-04"), instant("2026-03-05"));
    assert_eq!(run(Scalar::Add, &[early.clone(), day.clone()], Type::DateTime), late);
    assert_eq!(run(Scalar::Subtract, &[late.clone(), early.clone()], Type::TimeSpan), day);
    assert_eq!(run(Scalar::Divide, &[day.clone(), span("12h")], Type::Real), Datum::Real(2.0));
    assert_eq!(run(Scalar::Multiply, &[span("12h"), Datum::Long(2)], Type::TimeSpan), day);
    assert_eq!(run(Scalar::Subtract, &[early, span("9999999.00:00")], Type::DateTime), Datum::Null);
    assert_eq!(
        run(Scalar::Bin, &[instant("2026-03-04T05:59:59"), span("1h")], Type::DateTime),
        instant("2026-03-04T05:00")
    );
    assert_eq!(run(Scalar::Bin, &[Datum::Long(-1), Datum::Long(10)], Type::Long), Datum::Long(-10));
    assert_eq!(run(Scalar::Bin, &[Datum::Long(-1), Datum::Long(0)], Type::Long), Datum::Null);
    assert_eq!(run(Scalar::Round, &[Datum::Real(2.15), Datum::Long(1)], Type::Real), Datum::Real(2.2));
    assert_eq!(run(Scalar::Round, &[Datum::Real(-50.55), Datum::Long(-2)], Type::Real), Datum::Real(-100.0));
    assert_eq!(run(Scalar::ToHex, &[Datum::Long(-256)], Type::String), text("ffffffffffffff00"));
    assert_eq!(run(Scalar::Log, &[Datum::Real(-1.0)], Type::Real), Datum::Null);
}

#[test]
fn time_is_cut_and_counted_at_its_boundaries() {
    let at = instant("2026-03-04T05:06:07.1234567");
    let start = |function: Scalar| run(function, std::slice::from_ref(&at), Type::DateTime);
    assert_eq!(start(Scalar::StartOfWeek), instant("2026-03-01"));
    assert_eq!(start(Scalar::StartOfMonth), instant("2026-03-01"));
    assert_eq!(start(Scalar::EndOfDay), instant("2026-03-04T23:59:59.9999999"));
    assert_eq!(start(Scalar::EndOfYear), instant("2026-12-31T23:59:59.9999999"));
    let last = instant("9999-12-31T12:00");
    assert_eq!(
        run(Scalar::EndOfYear, std::slice::from_ref(&last), Type::DateTime),
        Datum::DateTime(time::LAST_TICK)
    );
    assert_eq!(run(Scalar::StartOfMonth, &[last, Datum::Long(1)], Type::DateTime), Datum::Null);
    let diff = |unit: &'static str, left: &str, right: &str| {
        run(Scalar::DateTimeDiff, &[text(unit), instant(left), instant(right)], Type::Long)
    };
    assert_eq!(diff("year", "2026-01-01", "2025-12-31"), Datum::Long(1));
    assert_eq!(diff("week", "2026-03-01", "2026-02-28"), Datum::Long(1));
    assert_eq!(diff("hour", "2026-03-01T01:00", "2026-03-01T00:59"), Datum::Long(1));
    assert_eq!(diff("month", "2026-01-01", "2026-03-01"), Datum::Long(-2));
    let part = |unit: &'static str| run(Scalar::DateTimePart, &[text(unit), at.clone()], Type::Long);
    assert_eq!(part("microsecond"), Datum::Long(123_456));
    assert_eq!(part("quarter"), Datum::Long(1));
    assert_eq!(
        run(Scalar::FormatDateTime, &[at.clone(), text("yy-M-d [h:mm:ss.fff tt]")], Type::String),
        text("26-3-4 [5:06:07.123 AM]")
    );
    assert_eq!(
        run(Scalar::FormatTimeSpan, &[span("1.02:03:04.5"), text("d.hh:mm:ss.FFF")], Type::String),
        text("1.02:03:04.5")
    );
    assert_eq!(run(Scalar::DayOfWeek, std::slice::from_ref(&at), Type::TimeSpan), span("3d"));
    let added =
        run(Scalar::DateTimeAdd, &[text("month"), Datum::Long(-1), instant("2026-03-31")], Type::DateTime);
    assert_eq!(added, instant("2026-02-28"));
    let unix = run(Scalar::UnixSeconds, &[Datum::Long(1_767_225_600)], Type::DateTime);
    assert_eq!(unix, instant("2026-01-01"));
    let berlin = [instant("2026-07-01T12:00"), text("Europe/Berlin")];
    assert_eq!(run(Scalar::DateTimeUtcToLocal, &berlin, Type::DateTime), instant("2026-07-01T14:00"));
    assert_eq!(run(Scalar::DateTimeLocalToUtc, &berlin, Type::DateTime), instant("2026-07-01T10:00"));
    let made = [2026, 3, 4, 5, 6].map(Datum::Long);
    assert_eq!(run(Scalar::MakeDateTime, &made, Type::DateTime), instant("2026-03-04T05:06"));
}

#[test]
fn choice_passes_over_nulls_and_empty_text() {
    assert_eq!(run(Scalar::Coalesce, &[text(""), text("b"), text("c")], Type::String), text("b"));
    assert_eq!(
        run(Scalar::MaxOf, &[Datum::Null, Datum::Long(2), Datum::Long(7)], Type::Long),
        Datum::Long(7)
    );
    let case = [Datum::Null, text("a"), Datum::Bool(true), text("b"), text("c")];
    assert_eq!(run(Scalar::Case, &case, Type::String), text("b"));
    assert_eq!(run(Scalar::IsEmpty, &[json("\"\"")], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::IsEmpty, &[json("[]")], Type::Bool), Datum::Bool(false));
    assert_eq!(run(Scalar::GetType, &[json("{}")], Type::String), text("dictionary"));
}

#[test]
fn path_of_parsed_text_is_walked_in_the_text() {
    let texts = ["{ \"a\" : { \"b\" : [ 1, { \"c\" : \"x\" } ] } }", "no json", "{\"a\":null}", ""].map(text);
    let column = (Type::String, array(Type::String, &texts));
    let parsed = scalar(Scalar::ToDynamic, vec![col("c0")], &[Type::String], Type::Dynamic).unwrap();
    let member = |name: &str| PathStep::Member(name.to_owned());
    let found = |steps: Vec<PathStep>| {
        let expr = path(parsed.clone(), steps).unwrap();
        assert!(!format!("{expr:?}").contains("parse_json"), "not fused");
        let found = evaluate(&expr, std::slice::from_ref(&column)).unwrap();
        let reader = Reader::new(&found, Type::Dynamic, false).unwrap();
        (0..4).map(|row| reader.get(row).into_owned()).collect::<Vec<_>>()
    };
    let null = Datum::Null;
    let b = found(vec![member("a"), member("b")]);
    assert_eq!(b, [json("[1,{\"c\":\"x\"}]"), null.clone(), null.clone(), null.clone()]);
    let computed = PathStep::Computed(literal_of(&Datum::Long(-1), Type::Long), Type::Long);
    let c = found(vec![member("a"), member("b"), computed, member("c")]);
    assert_eq!(c, [json("\"x\""), null.clone(), null.clone(), null]);
}

/// Prints what the hot ones cost; asserts nothing about it.
#[test]
#[ignore = "a measurement: run with --ignored --nocapture"]
fn cost_of_hot_functions() {
    let properties = "{\"id\":\"device-0042\",\"type\":\"individual\",\"protocol\":\"MQTT\",\"hub\":\"hub-7.azure-devices.net\",\
        \"timings\":{\"attest\":3,\"allocate\":12,\"hub\":88},\"cause\":\"the token has expired\"}";
    let rows = 8192;
    let column = (Type::String, array(Type::String, &vec![text(properties); rows]));
    let parsed = scalar(Scalar::ToDynamic, vec![col("c0")], &[Type::String], Type::Dynamic).unwrap();
    let steps = vec![PathStep::Member("timings".into()), PathStep::Member("hub".into())];
    let needle = |function: Scalar, needle: &str| {
        let needle = Expr::Literal(ScalarValue::Utf8(Some(needle.to_owned())), None);
        scalar(function, vec![col("c0"), needle], &[Type::String, Type::String], Type::Bool).unwrap()
    };
    for (name, expr) in [
        ("parse_json(x).timings.hub", path(parsed.clone(), steps).unwrap()),
        ("parse_json(x)", parsed),
        ("has, absent", needle(Scalar::Has, "refused")),
        ("has, late", needle(Scalar::Has, "EXPIRED")),
        ("contains, absent", needle(Scalar::Contains, "quota")),
        ("contains_cs, absent", needle(Scalar::ContainsCs, "quota")),
        ("matches regex", needle(Scalar::MatchesRegex, "hub-[0-9]+")),
    ] {
        let began = tokio::time::Instant::now();
        for _ in 0..10 {
            evaluate(&expr, std::slice::from_ref(&column)).unwrap();
        }
        println!("{name}: {} ns a row", began.elapsed().as_nanos() / (10 * rows as u128));
    }
    let began = tokio::time::Instant::now();
    for _ in 0..rows {
        let tree: serde_json::Value = serde_json::from_str(properties).unwrap();
        assert!(tree["timings"]["hub"].is_number());
    }
    println!("serde_json tree: {} ns a row", began.elapsed().as_nanos() / rows as u128);
}
