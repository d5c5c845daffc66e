use dps_kql::{Scalar, Type};

use crate::functions::datum::Datum;
use crate::functions::tests::{instant, json, run, span, text};

fn dynamic(function: Scalar, args: &[Datum<'static>]) -> Datum<'static> {
    run(function, args, Type::Dynamic)
}

#[test]
fn arrays_are_cut_turned_and_joined() {
    let five = json("[1,2,3,4,5]");
    let long = Datum::Long;
    assert_eq!(dynamic(Scalar::ArraySlice, &[five.clone(), long(2), long(-1)]), json("[3,4,5]"));
    assert_eq!(dynamic(Scalar::ArraySlice, &[five.clone(), long(4), long(1)]), json("[]"));
    assert_eq!(dynamic(Scalar::ArraySplit, &[five.clone(), json("[1,-2]")]), json("[[1],[2,3],[4,5]]"));
    assert_eq!(dynamic(Scalar::ArrayConcat, &[json("[1]"), json("[\"a\",[2]]")]), json("[1,\"a\",[2]]"));
    assert_eq!(dynamic(Scalar::ArrayReverse, &[json("[1,\"a\"]")]), json("[\"a\",1]"));
    assert_eq!(dynamic(Scalar::ArrayRotateLeft, &[five.clone(), long(2)]), json("[3,4,5,1,2]"));
    assert_eq!(dynamic(Scalar::ArrayRotateRight, &[five.clone(), long(7)]), json("[4,5,1,2,3]"));
    assert_eq!(dynamic(Scalar::ArrayShiftLeft, &[five.clone(), long(2)]), json("[3,4,5,null,null]"));
    assert_eq!(dynamic(Scalar::ArrayShiftRight, &[five.clone(), long(2), long(-1)]), json("[-1,-1,1,2,3]"));
    assert_eq!(run(Scalar::ArraySum, std::slice::from_ref(&five), Type::Real), Datum::Real(15.0));
    assert_eq!(run(Scalar::ArrayLength, &[json("{}")], Type::Long), Datum::Null);
    assert_eq!(run(Scalar::ArrayIndexOf, &[json("[1,\"a\",1]"), text("a")], Type::Long), Datum::Long(1));
    assert_eq!(run(Scalar::ArrayIndexOf, &[json("[1,2,1]"), long(1), long(1)], Type::Long), Datum::Long(2));
    let iff = [json("[true,false,null]"), json("[1,2,3]"), long(9)];
    assert_eq!(dynamic(Scalar::ArrayIff, &iff), json("[1,9,null]"));
    assert_eq!(dynamic(Scalar::Zip, &[json("[1,2]"), json("[\"a\"]")]), json("[[1,\"a\"],[2,null]]"));
    assert_eq!(dynamic(Scalar::Repeat, &[text("x"), long(2)]), json("[\"x\",\"x\"]"));
    assert_eq!(
        run(Scalar::StrcatArray, &[json("[1,\"a\",true]"), text("-")], Type::String),
        text("1-a-true")
    );
}

#[test]
fn sorted_array_moves_others_along_and_nulls_to_the_end() {
    let sorted = dynamic(Scalar::ArraySortAsc, &[json("[null,\"b\",10,\"a\",9]")]);
    assert_eq!(sorted, json("[9,10,\"a\",\"b\",null]"));
    let first = dynamic(Scalar::ArraySortDesc, &[json("[null,1,2]"), Datum::Bool(false)]);
    assert_eq!(first, json("[null,2,1]"));
    let both = dynamic(Scalar::ArraySortDesc, &[json("[1,3,2]"), json("[\"a\",\"b\",\"c\"]"), json("[1]")]);
    assert_eq!(both, json("[[3,2,1],[\"b\",\"c\",\"a\"],null]"));
}

#[test]
fn range_has_both_ends_and_a_bound() {
    let long = Datum::Long;
    assert_eq!(dynamic(Scalar::Range, &[long(1), long(7), long(3)]), json("[1,4,7]"));
    assert_eq!(dynamic(Scalar::Range, &[long(3), long(1), long(-1)]), json("[3,2,1]"));
    assert_eq!(dynamic(Scalar::Range, &[long(1), long(3), long(0)]), json("[]"));
    let days = dynamic(Scalar::Range, &[instant("2026-03-04"), instant("2026-03-05"), span("1d")]);
    assert_eq!(days, json("[\"2026-03-04T00:00:00.0000000Z\",\"2026-03-05T00:00:00.0000000Z\"]"));
    assert_eq!(
        dynamic(Scalar::Range, &[long(i64::MAX - 1), long(i64::MAX)]),
        json("[9223372036854775806,9223372036854775807]")
    );
    // A value has a size, and one that would be larger is null.
    assert_eq!(dynamic(Scalar::Range, &[long(0), long(i64::MAX)]), Datum::Null);
}

#[test]
fn bags_keep_their_order() {
    let bag = json("{\"b\":1,\"a\":{\"x\":1,\"y\":[2]}}");
    assert_eq!(dynamic(Scalar::BagKeys, std::slice::from_ref(&bag)), json("[\"b\",\"a\"]"));
    assert_eq!(run(Scalar::BagHasKey, &[bag.clone(), text("$.a.x")], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::BagHasKey, &[bag.clone(), text("x")], Type::Bool), Datum::Bool(false));
    assert_eq!(
        dynamic(Scalar::BagMerge, &[json("{\"a\":1}"), json("{\"b\":2,\"a\":3}")]),
        json("{\"a\":1,\"b\":2}")
    );
    let removed = dynamic(Scalar::BagRemoveKeys, &[bag.clone(), json("[\"$.a.x\",\"b\"]")]);
    assert_eq!(removed, json("{\"a\":{\"y\":[2]}}"));
    assert_eq!(
        dynamic(Scalar::BagSetKey, &[bag.clone(), text("$.a.z"), Datum::Long(3)]),
        json("{\"b\":1,\"a\":{\"x\":1,\"y\":[2],\"z\":3}}")
    );
    assert_eq!(
        dynamic(Scalar::BagZip, &[json("[\"a\",1,\"b\"]"), json("[1,2]")]),
        json("{\"a\":1,\"b\":null}")
    );
    assert_eq!(
        dynamic(Scalar::Pack, &[text("a"), Datum::Long(1), text("b\""), Datum::Null]),
        json("{\"a\":1,\"b\\\"\":null}")
    );
    assert_eq!(
        dynamic(Scalar::TreePath, &[bag]),
        json("[\"['b']\",\"['a']['x']\",\"['a']['y']\",\"['a']['y'][0]\"]")
    );
}

#[test]
fn sets_have_each_element_once() {
    let (left, right) = (json("[1,2,2,3]"), json("[3,\"1\",1]"));
    let both = [left.clone(), right.clone()];
    assert_eq!(dynamic(Scalar::SetUnion, &both), json("[1,2,3,\"1\"]"));
    assert_eq!(dynamic(Scalar::SetIntersect, &both), json("[1,3]"));
    assert_eq!(dynamic(Scalar::SetDifference, &both), json("[2]"));
    assert_eq!(run(Scalar::SetHasElement, &[right, text("1")], Type::Bool), Datum::Bool(true));
    assert_eq!(run(Scalar::SetEquals, &[left, json("[3,2,1]")], Type::Bool), Datum::Bool(true));
    assert_eq!(
        run(Scalar::JaccardIndex, &[json("[1,2]"), json("[2,3]")], Type::Real),
        Datum::Real(1.0 / 3.0)
    );
}
