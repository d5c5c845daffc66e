use std::fmt::Write as _;

use super::scope::column;
use crate::{
    Aggregate, Analysis, Diagnostics, Environment, Evaluate, Expr, ExprKind, JoinKind, Node, Plan, Query,
    Scalar, Schema, TICKS_PER_DAY, Table, Type, Value, WindowFunction, analyse,
};

const NOW: i64 = 738_000 * TICKS_PER_DAY;

fn tables() -> Vec<Table> {
    let logs = [
        ("At", Type::DateTime),
        ("Name", Type::String),
        ("Millis", Type::Long),
        ("Small", Type::Int),
        ("Share", Type::Real),
        ("Bag", Type::Dynamic),
        ("Good", Type::Bool),
    ];
    let names = [("Name", Type::String), ("Millis", Type::Real), ("Kind", Type::String)];
    vec![
        Table { name: "Logs".into(), schema: logs.into_iter().map(|(name, ty)| column(name, ty)).collect() },
        Table {
            name: "Names".into(),
            schema: names.into_iter().map(|(name, ty)| column(name, ty)).collect(),
        },
    ]
}

fn analysed(text: &str, opened: &[Schema]) -> Result<Analysis, Diagnostics> {
    let tables = tables();
    analyse(text, &Environment { tables: &tables, now: NOW, opened })
}

fn query(text: &str) -> Query {
    match analysed(text, &[]) {
        Ok(Analysis::Ready(query)) => *query,
        other => panic!("{text}: {other:?}"),
    }
}

fn plan(text: &str) -> Plan {
    query(text).plan
}

fn refused(text: &str) -> Diagnostics {
    analysed(text, &[]).unwrap_err()
}

/// What the only expression of `Logs | project x = …` becomes.
fn expr(text: &str) -> Expr {
    match plan(&format!("Logs | project x = {text}")).node {
        Node::Project { mut columns, .. } => columns.remove(0),
        node => panic!("{node:?}"),
    }
}

fn call(text: &str) -> (Scalar, Vec<Expr>) {
    match expr(text).kind {
        ExprKind::Call { function, args } => (function, args),
        kind => panic!("{kind:?}"),
    }
}

fn literal(text: &str) -> Value {
    match expr(text).kind {
        ExprKind::Literal(value) => value,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn time_before_now_is_a_literal() {
    assert_eq!(literal("ago(1d)"), Value::DateTime(NOW - TICKS_PER_DAY));
    assert_eq!(literal("now(-1d)"), Value::DateTime(NOW - TICKS_PER_DAY));
    assert_eq!(literal("bin(now(), 2d)"), Value::DateTime(NOW));
    assert_eq!(literal("7/2"), Value::Long(3));
    assert!(matches!(call("ago(Millis * 1s)"), (Scalar::Subtract, _)));
}

#[test]
fn numbers_meet_in_the_wider_type() {
    let (function, args) = call("Small + Share");
    assert_eq!((function, args[0].ty, args[1].ty), (Scalar::Add, Type::Real, Type::Real));
    assert_eq!(expr("Small + Small").ty, Type::Long);
    assert_eq!(expr("Bag.x + 1").ty, Type::Long);
}

#[test]
fn text_against_number_is_compared_as_text() {
    let (_, args) = call("Name == 429");
    assert_eq!(args[1].kind, ExprKind::Literal(Value::String("429".into())));
    let (_, args) = call("Bag.x == 5");
    assert!(matches!(args[0].kind, ExprKind::Call { function: Scalar::ToLong, .. }));
}

#[test]
fn in_with_a_written_array_is_spread() {
    let (function, args) = call("Name in (dynamic(['a', 'b']), 'c')");
    assert_eq!((function, args.len()), (Scalar::In, 4));
    assert!(args.iter().all(|arg| arg.ty == Type::String));
    let (_, args) = call("Bag.code in (1, 2)");
    assert!(args.iter().all(|arg| arg.ty == Type::Long));
}

#[test]
fn in_with_rows_is_a_query_of_one_column_of_the_values_type() {
    let ExprKind::InQuery { value, query, negated, ignore_case } =
        expr("Millis !in ((Names | project Millis))").kind
    else {
        panic!("no query");
    };
    assert_eq!((value.ty, query.schema[0].ty, negated, ignore_case), (Type::Real, Type::Real, true, false));
}

#[test]
fn between_with_a_distance_has_an_end() {
    let (function, args) = call("At between (datetime(2024-01-01) .. 1d)");
    assert_eq!((function, args[2].ty), (Scalar::Between, Type::DateTime));
}

#[test]
fn branches_of_several_types_become_dynamic() {
    let (_, args) = call("iff(Good, Name, Millis)");
    assert!(args.iter().skip(1).all(|arg| arg.ty == Type::Dynamic));
    assert_eq!(expr("iff(Good, Bag.x, 'a')").ty, Type::String);
}

#[test]
fn top_is_sort_and_take() {
    let Node::Take { input, .. } = plan("Logs | top 3 by Millis").node else { panic!("no take") };
    let Node::Sort { keys, .. } = input.node else { panic!("no sort") };
    assert!(keys[0].descending && !keys[0].nulls_first);
}

#[test]
fn aggregate_within_an_expression_is_projected() {
    let made = plan("Logs | summarize share = 100.0 * countif(Good) / count() by Name");
    assert_eq!(made.schema, [column("Name", Type::String), column("share", Type::Real)]);
    let Node::Project { input, columns } = made.node else { panic!("no project") };
    let Node::Aggregate { aggregations, keys, .. } = input.node else { panic!("no aggregate") };
    assert_eq!((aggregations.len(), keys.len(), columns.len()), (2, 1, 2));
    assert_eq!(columns[0].kind, ExprKind::Column(0));
}

#[test]
fn aggregates_alone_need_no_projection() {
    let made = plan("Logs | summarize avg(Small), percentiles(Millis, 50, 99.9), arg_max(At, *) by Name");
    let Node::Aggregate { aggregations, .. } = &made.node else { panic!("no aggregate") };
    assert_eq!(aggregations.len(), 4);
    assert_eq!(aggregations[1].function, Aggregate::Percentile);
    assert_eq!(aggregations[2].args[1].kind, ExprKind::Literal(Value::Real(99.9)));
    let outputs: Vec<_> = aggregations.iter().flat_map(|made| made.outputs.clone()).collect();
    assert_eq!(made.schema[1..], outputs);
    assert_eq!(made.schema[3].name, "percentile_Millis_99_9");
}

#[test]
fn join_keeps_names_apart_and_defaults_to_innerunique() {
    let made = plan("Logs | join Names on Name");
    let Node::Join { kind, on, .. } = &made.node else { panic!("no join") };
    assert_eq!((*kind, on.len()), (JoinKind::InnerUnique, 1));
    let names: Vec<_> = made.schema.iter().skip(7).map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["Name1", "Millis1", "Kind"]);
}

#[test]
fn lookup_drops_the_right_keys() {
    let made = plan("Logs | lookup (Names | project Name, Kind) on Name");
    let names: Vec<_> = made.schema.iter().skip(7).map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["Kind"]);
}

#[test]
fn union_splits_columns_of_one_name_and_several_types() {
    let made = plan("union withsource=From Logs, Names");
    let names: Vec<_> = made.schema.iter().map(|known| known.name.as_str()).collect();
    let wanted =
        ["From", "At", "Name", "Millis_long", "Millis_real", "Small", "Share", "Bag", "Good", "Kind"];
    assert_eq!(names, wanted);
    let Node::Union { inputs } = &made.node else { panic!("no union") };
    assert!(inputs.iter().all(|input| input.schema == made.schema));
}

#[test]
fn fuzzy_union_leaves_out_what_is_not_there() {
    assert_eq!(plan("union isfuzzy=true Names, Nothing").schema.len(), 3);
    assert_eq!(refused("union Names, Nothing").errors[0].code, "KS204");
}

#[test]
fn search_asks_text_columns_and_says_the_table() {
    let made = plan("search in (Logs) 'abc' and Millis > 5");
    assert_eq!(made.schema[0], column("$table", Type::String));
    let Node::Filter { predicate, .. } = made.node else { panic!("no filter") };
    let ExprKind::Call { function: Scalar::And, args } = predicate.kind else { panic!("no and") };
    let ExprKind::Call { function: Scalar::Or, args } = &args[0].kind else { panic!("no or") };
    assert_eq!(args.len(), 3);
}

#[test]
fn neighbours_are_columns_of_a_window_below() {
    let made = plan(
        "Logs | sort by At asc | extend same = Name == prev(Name), n = row_cumsum(Millis, Name != prev(Name))",
    );
    let Node::Project { input, columns } = made.node else { panic!("no project") };
    assert_eq!((columns.len(), made.schema.len()), (9, 9));
    let Node::Window { functions, input } = input.node else { panic!("no window") };
    assert!(matches!(functions.as_slice(), [WindowFunction::CumulativeSum { .. }]));
    let Node::Window { functions, .. } = input.node else { panic!("no window below") };
    assert!(matches!(
        functions.as_slice(),
        [WindowFunction::Shifted { offset: 1, .. }, WindowFunction::Shifted { .. }]
    ));
}

#[test]
fn function_of_several_columns_is_taken_apart() {
    let made = plan("Logs | extend (fit, slope) = series_fit_line(Bag)");
    assert_eq!(made.schema[7], column("fit", Type::Real));
    assert_eq!(made.schema[9], column("series_fit_line_Bag_variance", Type::Real));
    assert_eq!(refused("Logs | where series_stats(Bag) > 1").errors[0].code, "KS139");
}

#[test]
fn parsed_column_that_is_there_takes_its_place() {
    let made = plan("Logs | parse Name with * 'x' Millis:int 'y' rest");
    assert_eq!(made.schema[2], column("Millis", Type::Int));
    assert_eq!((made.schema.len(), made.schema[7].name.as_str()), (8, "rest"));
}

#[test]
fn evaluate_asks_for_its_columns_and_goes_on_with_them() {
    let text = "Logs | evaluate pivot(Name, sum(Millis), Kind1) | where a > 1";
    assert_eq!(refused(text).errors[0].code, "KS142");
    let text = "Logs | evaluate pivot(Name, sum(Millis), Small) | where a > 1";
    let Ok(Analysis::Open { evaluate, .. }) = analysed(text, &[]) else { panic!("ready") };
    assert!(matches!(&*evaluate, Evaluate::Pivot { keys, .. } if keys.len() == 1 && keys[0].0 == "Small"));
    let opened = vec![column("Small", Type::Int), column("a", Type::Long)];
    let Ok(Analysis::Ready(query)) = analysed(text, std::slice::from_ref(&opened)) else {
        panic!("not ready")
    };
    let Node::Filter { input, .. } = query.plan.node else { panic!("no filter") };
    assert_eq!(*input, Plan { node: Node::Opened(0), schema: opened });
}

#[test]
fn mv_apply_shows_the_inputs_columns_and_the_subquerys() {
    let made = plan(
        "Logs | project Name, Bag | mv-apply x = Bag to typeof(long) on (summarize most = max(x) by Name)",
    );
    let names: Vec<_> = made.schema.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["Name", "Bag", "most"]);
    let Node::MvApply { sources, .. } = made.node else { panic!("no apply") };
    assert_eq!(sources, [Ok(0), Err(1), Ok(1)]);
}

#[test]
fn function_of_the_author_is_written_out() {
    let made = expr("0");
    assert_eq!(made.kind, ExprKind::Literal(Value::Long(0)));
    let made = plan("let f = (x:long, y:long = 2) { x * y }; Logs | project z = f(Millis)");
    let Node::Project { columns, .. } = made.node else { panic!("no project") };
    let ExprKind::Call { function: Scalar::Multiply, args } = &columns[0].kind else { panic!("no product") };
    assert_eq!(args[1].kind, ExprKind::Literal(Value::Long(2)));
    assert_eq!(plan("let f = (T:(Name:string)) { T | distinct Name }; Logs | invoke f()").schema.len(), 1);
    assert_eq!(refused("let f = (T:(Nam:string)) { T }; Logs | invoke f()").errors[0].code, "KS249");
}

#[test]
fn render_travels_along() {
    let render = query("Logs | take 1 | render timechart with (title='x')").render.unwrap();
    assert_eq!(render.visualization, "timechart");
    assert_eq!(render.properties, [("title".to_owned(), "x".to_owned())]);
}

#[test]
fn error_suggests_what_was_meant() {
    let suggests = |text: &str, code: &str, part: &str| {
        let refusal = refused(text);
        let error = &refusal.errors[0];
        assert_eq!(error.code, code, "{text}");
        assert!(error.suggestion.as_deref().unwrap_or_default().contains(part), "{text}: {error:?}");
    };
    suggests("Logs | where Nam == 'x'", "KS142", "'Name'");
    suggests("Log | take 1", "KS204", "'Logs'");
    suggests("Logs | where Name = 'x'", "KS141", "==");
    suggests("Logs | extend x = tostrin(Name)", "KS211", "'tostring'");
    suggests("Logs | where Millis has '9'", "KS106", "tostring");
    suggests("Logs | summarize count() by Bag.id", "KS116", "tostring");
    suggests("Logs | join kind=lefftouter Names on Name", "KS005", "'leftouter'");
}

#[test]
fn all_errors_of_an_operator_are_told_in_their_order() {
    let refusal = refused("Logs | project a = One, b = two(Name), c = Millis has 'x'");
    let codes: Vec<_> = refusal.errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["KS142", "KS211", "KS106"]);
    assert!(!refusal.syntax);
}

#[test]
fn names_that_double_a_plan_are_stopped() {
    let mut text = "let a0 = toscalar(Logs | count);".to_owned();
    for n in 1..60 {
        let _ = write!(text, "let a{n} = a{0} + a{0};", n - 1);
    }
    text += "print a59";
    assert_eq!(refused(&text).errors[0].code, "MU001");
    let mut text = "let t0 = Logs;".to_owned();
    for n in 1..60 {
        let _ = write!(text, "let t{n} = union t{0}, t{0};", n - 1);
    }
    text += "t59";
    assert_eq!(refused(&text).errors[0].code, "MU001");
    let mut text = "let f0 = (x:long) { x + x };".to_owned();
    for n in 1..60 {
        let _ = write!(text, "let f{n} = (x:long) {{ f{0}(x) + f{0}(x) }};", n - 1);
    }
    text += "Logs | project f59(Millis)";
    assert!(!refused(&text).errors.is_empty());
}

#[test]
fn depth_that_a_text_can_have_fits_the_stack() {
    // Functions within functions, each as deep as a text may be.
    let deep = |inner: &str| format!("{}{inner}{}", "strcat('x', ".repeat(40), ")".repeat(40));
    let mut text = format!("let f0 = (x:string) {{ {} }};", deep("x"));
    for n in 1..30 {
        let _ = write!(text, "let f{n} = (x:string) {{ {} }};", deep(&format!("f{}(x)", n - 1)));
    }
    text += "Logs | project f29(Name)";
    let refusal = std::thread::Builder::new().stack_size(2 << 20).spawn(move || refused(&text)).unwrap();
    let refusal = refusal.join().unwrap();
    assert!(matches!(refusal.errors[0].code, "KS245" | "MU001"), "{refusal}");
}

#[test]
fn second_result_is_refused() {
    assert_eq!(refused("Logs; Names").errors[0].code, "KS198");
}
