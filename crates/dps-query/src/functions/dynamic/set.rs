//! Arrays as sets: elements are the same where their JSON text is.

use std::collections::HashSet;

use dps_kql::Scalar;

use crate::functions::datum::Datum;
use crate::functions::json::{self, Array};
use crate::functions::kernel::{arg, json_at};
use crate::functions::udf::Call;

fn sets<'b>(args: &'b [Datum<'_>]) -> Option<Vec<Vec<&'b str>>> {
    (0..args.len()).map(|index| json_at(args, index).and_then(json::elements)).collect()
}

/// `set_difference`, `set_intersect`, `set_union`: in the order in which elements first occur.
pub fn set_combine<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(sets) = sets(args) else { return Datum::Null };
    let Some((first, others)) = sets.split_first() else { return Datum::Null };
    let others: Vec<HashSet<&str>> = others.iter().map(|other| other.iter().copied().collect()).collect();
    let mut seen = HashSet::new();
    let all: Vec<&str> = match call.function {
        Scalar::SetUnion => sets.iter().flatten().copied().collect(),
        _ => first.clone(),
    };
    let kept = |element: &&str| match call.function {
        Scalar::SetUnion => true,
        Scalar::SetIntersect => others.iter().all(|other| other.contains(*element)),
        _ => !others.iter().any(|other| other.contains(*element)),
    };
    all.into_iter().filter(kept).filter(|element| seen.insert(*element)).collect::<Array>().finish()
}

/// `set_has_element`.
pub fn set_has_element<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(elements) = json_at(args, 0).and_then(json::elements) else { return Datum::Null };
    let wanted = json::of_datum(arg(args, 1));
    Datum::Bool(elements.into_iter().any(|element| element == wanted))
}

/// `set_equals`.
pub fn set_equals<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(sets) = sets(args) else { return Datum::Null };
    let mut each = sets.iter().map(|elements| elements.iter().copied().collect::<HashSet<&str>>());
    let first = each.next().unwrap_or_default();
    Datum::Bool(each.all(|other| other == first))
}

/// `jaccard_index`: what they share among all that they have; of two empty sets there is none.
#[allow(clippy::cast_precision_loss, reason = "a value has at most a million elements")]
pub fn jaccard_index<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let Some(sets) = sets(args) else { return Datum::Null };
    let [left, right] = sets.as_slice() else { return Datum::Null };
    let left: HashSet<&str> = left.iter().copied().collect();
    let right: HashSet<&str> = right.iter().copied().collect();
    let union = left.union(&right).count();
    if union == 0 {
        Datum::Real(f64::NAN)
    } else {
        Datum::Real(left.intersection(&right).count() as f64 / union as f64)
    }
}
