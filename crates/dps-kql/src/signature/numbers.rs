//! Numbers, bins and bits.

use super::{
    DATETIME, INTEGER, NUMBER, Naming, REAL, ScalarFunction, Signature, TIMESPAN, WIDEST, Yields, row, sig,
    to,
};
use crate::{Scalar, Type};

const REAL_OF_REAL: &[Signature] = &[to(&[REAL], Type::Real)];
const BINS: &[Signature] = &[
    sig(&[WIDEST, WIDEST], Yields::Widest),
    to(&[TIMESPAN, TIMESPAN], Type::TimeSpan),
    to(&[DATETIME, TIMESPAN], Type::DateTime),
];
const BITS: &[Signature] = &[to(&[INTEGER, INTEGER], Type::Long)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(
        &["abs"],
        Scalar::Abs,
        &[to(&[INTEGER], Type::Long), sig(&[NUMBER], Yields::First), to(&[TIMESPAN], Type::TimeSpan)],
        Naming::First,
    ),
    row(&["sign"], Scalar::Sign, &[to(&[NUMBER], Type::Real)], Naming::None),
    row(&["bin"], Scalar::Bin, BINS, Naming::First),
    // With two arguments `floor` is `bin`; Kusto has no other.
    row(&["floor"], Scalar::Floor, BINS, Naming::First),
    row(
        &["bin_at"],
        Scalar::BinAt,
        &[
            sig(&[WIDEST, WIDEST, WIDEST], Yields::Widest),
            to(&[TIMESPAN, TIMESPAN, TIMESPAN], Type::TimeSpan),
            to(&[DATETIME, TIMESPAN, DATETIME], Type::DateTime),
        ],
        Naming::First,
    ),
    row(&["ceiling"], Scalar::Ceiling, &[sig(&[NUMBER], Yields::First)], Naming::First),
    row(&["round"], Scalar::Round, &[sig(&[NUMBER, INTEGER.constant().opt()], Yields::First)], Naming::First),
    row(&["sqrt"], Scalar::Sqrt, REAL_OF_REAL, Naming::First),
    row(&["exp"], Scalar::Exp, REAL_OF_REAL, Naming::First),
    row(&["exp2"], Scalar::Exp2, REAL_OF_REAL, Naming::First),
    row(&["exp10"], Scalar::Exp10, REAL_OF_REAL, Naming::First),
    row(&["log"], Scalar::Log, REAL_OF_REAL, Naming::First),
    row(&["log2"], Scalar::Log2, REAL_OF_REAL, Naming::First),
    row(&["log10"], Scalar::Log10, REAL_OF_REAL, Naming::First),
    row(&["pow"], Scalar::Pow, &[to(&[REAL, REAL], Type::Real)], Naming::First),
    row(&["pi"], Scalar::Pi, &[to(&[], Type::Real)], Naming::None),
    row(&["sin"], Scalar::Sin, REAL_OF_REAL, Naming::First),
    row(&["cos"], Scalar::Cos, REAL_OF_REAL, Naming::First),
    row(&["tan"], Scalar::Tan, REAL_OF_REAL, Naming::First),
    row(&["asin"], Scalar::Asin, REAL_OF_REAL, Naming::First),
    row(&["acos"], Scalar::Acos, REAL_OF_REAL, Naming::First),
    row(&["atan"], Scalar::Atan, REAL_OF_REAL, Naming::First),
    row(&["atan2"], Scalar::Atan2, &[to(&[REAL, REAL], Type::Real)], Naming::First),
    row(&["degrees"], Scalar::Degrees, REAL_OF_REAL, Naming::None),
    row(&["radians"], Scalar::Radians, REAL_OF_REAL, Naming::None),
    row(&["cot"], Scalar::Cot, REAL_OF_REAL, Naming::None),
    row(&["rand"], Scalar::Rand, &[to(&[INTEGER.opt()], Type::Real)], Naming::First),
    row(&["tohex"], Scalar::ToHex, &[to(&[INTEGER, INTEGER.opt()], Type::String)], Naming::First),
    row(&["binary_and"], Scalar::BinaryAnd, BITS, Naming::First),
    row(&["binary_or"], Scalar::BinaryOr, BITS, Naming::First),
    row(&["binary_xor"], Scalar::BinaryXor, BITS, Naming::First),
    row(&["binary_not"], Scalar::BinaryNot, &[to(&[INTEGER], Type::Long)], Naming::First),
    row(&["binary_shift_left"], Scalar::BinaryShiftLeft, BITS, Naming::First),
    row(&["binary_shift_right"], Scalar::BinaryShiftRight, BITS, Naming::First),
    row(&["bitset_count_ones"], Scalar::BitsetCountOnes, &[to(&[INTEGER], Type::Long)], Naming::First),
];
