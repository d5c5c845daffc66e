use std::collections::HashSet;

use super::*;

/// Operators and what the binder makes itself have no row.
fn is_operator(function: Scalar) -> bool {
    function <= Scalar::NotInIgnoreCase && function != Scalar::Not
}

#[test]
fn function_of_the_plan_has_a_signature() {
    let covered: HashSet<_> = scalars().map(|row| row.function).collect();
    for function in Scalar::ALL.iter().filter(|function| !is_operator(**function)) {
        assert!(covered.contains(function), "{function:?} has no row");
    }
    let covered: HashSet<_> = aggregates().map(|row| row.function).collect();
    for function in Aggregate::ALL {
        assert!(covered.contains(function), "{function:?} has no row");
    }
}

#[test]
fn name_of_a_function_is_its_first_and_is_found_once() {
    let mut seen = HashSet::new();
    for row in scalars() {
        assert_eq!(row.names.first().copied(), Some(row.function.name()));
        for name in row.names {
            assert!(seen.insert(*name), "{name} twice");
            assert_eq!(scalar(name).map(|found| found.function), Some(row.function));
        }
    }
    let mut seen = HashSet::new();
    for name in aggregates().flat_map(|row| row.names) {
        assert!(seen.insert(*name), "{name} twice");
    }
}

#[test]
fn optional_parameters_stand_last() {
    for signature in
        scalars().flat_map(|row| row.signatures).chain(aggregates().flat_map(|row| row.signatures))
    {
        let first =
            signature.params.iter().position(|param| param.optional).unwrap_or(signature.params.len());
        assert!(signature.params.iter().skip(first).all(|param| param.optional));
    }
}

#[test]
fn case_takes_pairs_and_one_more() {
    let signature = scalar("case").unwrap().signatures.first().unwrap();
    assert!(signature.takes(3) && signature.takes(5));
    assert!(!signature.takes(2) && !signature.takes(4));
    assert_eq!(signature.param(2, 5).unwrap().wants, Wants::Is(Type::Bool));
    assert_eq!(signature.param(4, 5).unwrap().wants, Wants::CommonOrDynamic);
}

#[test]
fn pack_takes_pairs() {
    let signature = scalar("bag_pack").unwrap().signatures.first().unwrap();
    assert!(signature.takes(2) && signature.takes(6) && !signature.takes(3) && !signature.takes(0));
    assert_eq!(signature.param(4, 6).unwrap().wants, Wants::Is(Type::String));
}
