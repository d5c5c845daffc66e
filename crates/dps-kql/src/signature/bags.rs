//! Arrays and objects.

use super::{
    ANY, ARRAY, BAG, BOOL, INTEGER, LONG, MOST_ARGUMENTS, Naming, Need, STRING, ScalarFunction, Signature,
    Yields, many, row, to,
};
use crate::{Scalar, Type};

const DYNAMIC: Yields = Yields::Is(Type::Dynamic);
const SHIFTS: &[Signature] = &[to(&[ARRAY, INTEGER, ANY.opt()], Type::Dynamic)];
const ROTATES: &[Signature] = &[to(&[ARRAY, INTEGER], Type::Dynamic)];
const SETS: &[Signature] = &[many(&[ARRAY, ARRAY], 1, 64, DYNAMIC)];
/// Several arrays make several columns; one alone is what the plan knows.
const SORTS: &[Signature] = &[to(&[ARRAY, BOOL.constant().opt()], Type::Dynamic)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(
        &["pack_dictionary"],
        Scalar::PackDictionary,
        &[many(&[STRING, ANY], 2, MOST_ARGUMENTS, DYNAMIC)],
        Naming::None,
    ),
    row(&["pack_array"], Scalar::PackArray, &[many(&[ANY], 1, MOST_ARGUMENTS, DYNAMIC)], Naming::None),
    row(
        &["bag_pack", "pack"],
        Scalar::Pack,
        &[many(&[STRING, ANY], 2, MOST_ARGUMENTS, DYNAMIC)],
        Naming::None,
    ),
    row(&["pack_all"], Scalar::PackAll, &[to(&[ANY.need(Need::Literal).opt()], Type::Dynamic)], Naming::None),
    row(&["array_length", "arraylength"], Scalar::ArrayLength, &[to(&[ARRAY], Type::Long)], Naming::None),
    row(&["array_concat"], Scalar::ArrayConcat, &[many(&[ARRAY], 1, 64, DYNAMIC)], Naming::None),
    row(&["array_slice"], Scalar::ArraySlice, &[to(&[ARRAY, INTEGER, INTEGER], Type::Dynamic)], Naming::None),
    row(
        &["array_split"],
        Scalar::ArraySplit,
        &[to(&[ARRAY, INTEGER], Type::Dynamic), to(&[ARRAY, ARRAY], Type::Dynamic)],
        Naming::None,
    ),
    row(&["array_sum"], Scalar::ArraySum, &[to(&[ARRAY], Type::Real)], Naming::None),
    row(
        &["array_index_of"],
        Scalar::ArrayIndexOf,
        &[to(&[ARRAY, ANY, INTEGER.opt(), INTEGER.opt(), INTEGER.constant().opt()], Type::Long)],
        Naming::None,
    ),
    row(&["array_reverse"], Scalar::ArrayReverse, &[to(&[ARRAY], Type::Dynamic)], Naming::None),
    row(&["array_sort_asc"], Scalar::ArraySortAsc, SORTS, Naming::Suffix("sorted")),
    row(&["array_sort_desc"], Scalar::ArraySortDesc, SORTS, Naming::Suffix("sorted")),
    row(
        &["array_iff", "array_iif"],
        Scalar::ArrayIff,
        &[to(&[ARRAY, ANY, ANY], Type::Dynamic)],
        Naming::None,
    ),
    row(&["array_rotate_left"], Scalar::ArrayRotateLeft, ROTATES, Naming::None),
    row(&["array_rotate_right"], Scalar::ArrayRotateRight, ROTATES, Naming::None),
    row(&["array_shift_left"], Scalar::ArrayShiftLeft, SHIFTS, Naming::None),
    row(&["array_shift_right"], Scalar::ArrayShiftRight, SHIFTS, Naming::None),
    row(&["bag_keys"], Scalar::BagKeys, &[to(&[BAG], Type::Dynamic)], Naming::None),
    row(&["bag_has_key"], Scalar::BagHasKey, &[to(&[BAG, STRING], Type::Bool)], Naming::None),
    row(&["bag_merge"], Scalar::BagMerge, &[many(&[BAG, BAG], 1, 64, DYNAMIC)], Naming::None),
    row(&["bag_remove_keys"], Scalar::BagRemoveKeys, &[to(&[BAG, ARRAY], Type::Dynamic)], Naming::None),
    row(
        &["bag_set_key"],
        Scalar::BagSetKey,
        &[to(&[BAG, STRING.constant(), ANY], Type::Dynamic)],
        Naming::None,
    ),
    row(&["bag_zip"], Scalar::BagZip, &[to(&[ARRAY, ARRAY], Type::Dynamic)], Naming::None),
    row(&["treepath"], Scalar::TreePath, &[to(&[BAG], Type::Dynamic)], Naming::Prefix("tree")),
    row(&["zip"], Scalar::Zip, SETS, Naming::None),
    row(&["repeat"], Scalar::Repeat, &[to(&[ANY, LONG], Type::Dynamic)], Naming::Prefix("repeat")),
    row(&["set_difference"], Scalar::SetDifference, SETS, Naming::None),
    row(&["set_intersect"], Scalar::SetIntersect, SETS, Naming::None),
    row(&["set_union"], Scalar::SetUnion, SETS, Naming::None),
    row(&["set_has_element"], Scalar::SetHasElement, &[to(&[ARRAY, ANY], Type::Bool)], Naming::None),
    row(&["set_equals"], Scalar::SetEquals, &[to(&[ARRAY, ARRAY], Type::Bool)], Naming::None),
    row(&["jaccard_index"], Scalar::JaccardIndex, &[to(&[ARRAY, ARRAY], Type::Dynamic)], Naming::None),
    row(&["dynamic_to_json"], Scalar::DynamicToJson, &[to(&[ANY], Type::String)], Naming::None),
];
