//! Which kernel runs which function: the table of contents of what is not native. Owns the table and how arguments are
//! taken; must not know what any of them means.

use dps_kql::Scalar;

use super::datum::Datum;
use super::udf::Call;
use super::{dynamic, number, series, text, time};

/// A function of one row. Arguments have the types that the binder gave them, or are null.
pub type Kernel = for<'a> fn(&Call, &[Datum<'a>]) -> Datum<'a>;

static NULL: Datum<'static> = Datum::Null;

/// The argument, null where there is none.
pub fn arg<'b, 'a>(args: &'b [Datum<'a>], index: usize) -> &'b Datum<'a> {
    args.get(index).unwrap_or(&NULL)
}

/// The argument as a whole number.
pub fn long_at(args: &[Datum<'_>], index: usize) -> Option<i64> {
    arg(args, index).integer()
}

/// The argument as a double.
pub fn real_at(args: &[Datum<'_>], index: usize) -> Option<f64> {
    arg(args, index).real()
}

/// The argument as text, empty where it is none.
pub fn text_at<'b>(args: &'b [Datum<'_>], index: usize) -> &'b str {
    arg(args, index).chars()
}

/// The argument as JSON.
pub fn json_at<'b>(args: &'b [Datum<'_>], index: usize) -> Option<&'b str> {
    arg(args, index).as_json()
}

// A function that is listed and has no kernel does not compile.
const _: () = {
    let mut index = 0;
    while index < Scalar::ALL.len() {
        assert!(kernel(Scalar::ALL[index]).is_some(), "a scalar function has no kernel");
        index += 1;
    }
};

/// The kernel of a function.
pub const fn kernel(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::Add | S::Subtract | S::Multiply | S::Divide | S::Modulo => number::arithmetic,
        S::Negate => number::negate,
        S::Equal | S::NotEqual => number::equal,
        S::Less | S::LessOrEqual | S::Greater | S::GreaterOrEqual => number::ordered,
        S::Between | S::NotBetween => number::between,
        S::And | S::Or => number::logic,
        S::Not => number::not,
        S::EqualIgnoreCase | S::NotEqualIgnoreCase => text::equal_ignore_case,
        S::Has
        | S::NotHas
        | S::HasCs
        | S::NotHasCs
        | S::HasPrefix
        | S::NotHasPrefix
        | S::HasPrefixCs
        | S::NotHasPrefixCs
        | S::HasSuffix
        | S::NotHasSuffix
        | S::HasSuffixCs
        | S::NotHasSuffixCs
        | S::Contains
        | S::NotContains
        | S::ContainsCs
        | S::NotContainsCs
        | S::StartsWith
        | S::NotStartsWith
        | S::StartsWithCs
        | S::NotStartsWithCs
        | S::EndsWith
        | S::NotEndsWith
        | S::EndsWithCs
        | S::NotEndsWithCs => text::matches,
        S::MatchesRegex => text::matches_regex,
        S::HasAny | S::HasAll => text::has_several,
        S::In | S::NotIn | S::InIgnoreCase | S::NotInIgnoreCase => text::member,
        S::ToBool
        | S::ToInt
        | S::ToLong
        | S::ToReal
        | S::ToDecimal
        | S::ToString
        | S::ToDateTime
        | S::ToTimeSpan
        | S::ToGuid
        | S::ToDynamic => number::convert,
        S::Iff | S::Case => number::choose,
        S::Coalesce => number::coalesce,
        S::MaxOf | S::MinOf => number::extreme_of,
        _ => return kernel_of_numbers(function),
    };
    Some(kernel)
}

const fn kernel_of_numbers(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::IsEmpty | S::IsNotEmpty | S::IsNull | S::IsNotNull => number::emptiness,
        S::IsNan | S::IsInf | S::IsFinite => number::real_kind,
        S::IsAscii | S::IsUtf8 => text::encoding,
        S::Abs => number::abs,
        S::Sign => number::sign,
        S::Bin | S::Floor | S::BinAt => number::bin,
        S::Ceiling => number::ceiling,
        S::Round => number::round,
        S::Sqrt
        | S::Exp
        | S::Exp2
        | S::Exp10
        | S::Log
        | S::Log2
        | S::Log10
        | S::Sin
        | S::Cos
        | S::Tan
        | S::Asin
        | S::Acos
        | S::Atan
        | S::Degrees
        | S::Radians
        | S::Cot => number::of_real,
        S::Pow | S::Atan2 => number::of_two_reals,
        S::Pi => number::pi,
        S::Rand => number::rand,
        S::ToHex => number::to_hex,
        S::BinaryAnd
        | S::BinaryOr
        | S::BinaryXor
        | S::BinaryNot
        | S::BinaryShiftLeft
        | S::BinaryShiftRight
        | S::BitsetCountOnes => number::bits,
        S::Range => dynamic::range,
        _ => return kernel_of_text(function),
    };
    Some(kernel)
}

const fn kernel_of_text(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::Strcat => text::strcat,
        S::StrcatDelim => text::strcat_delim,
        S::Strlen | S::StringSize => text::length,
        S::Strrep => text::strrep,
        S::Strcmp => text::strcmp,
        S::Substring => text::substring,
        S::Split => text::split,
        S::IndexOf => text::index_of,
        S::IndexOfRegex => text::index_of_regex,
        S::CountOf => text::count_of,
        S::ReplaceString => text::replace_string,
        S::ReplaceStrings => text::replace_strings,
        S::ReplaceRegex => text::replace_regex,
        S::ToLower | S::ToUpper => text::change_case,
        S::Trim | S::TrimStart | S::TrimEnd => text::trim,
        S::Reverse => text::reverse,
        S::Translate => text::translate,
        S::Extract => text::extract,
        S::ExtractAll => text::extract_all,
        S::ExtractJson => text::extract_json,
        S::ParseUrl => text::parse_url,
        S::ParseUrlQuery => text::parse_url_query,
        S::UrlEncode | S::UrlEncodeComponent => text::url_encode,
        S::UrlDecode => text::url_decode,
        S::Base64Encode => text::base64_encode,
        S::Base64Decode => text::base64_decode,
        S::ParsePath => text::parse_path,
        S::ParseVersion => text::parse_version,
        S::ParseCsv => text::parse_csv,
        S::ParseIpv4 | S::ParseIpv4Mask => text::parse_ipv4,
        S::Ipv4Compare | S::Ipv4IsMatch => text::ipv4_compare,
        S::Ipv4IsInRange => text::ipv4_is_in_range,
        S::Ipv4IsPrivate => text::ipv4_is_private,
        S::Ipv4NetmaskSuffix => text::ipv4_netmask_suffix,
        S::FormatIpv4 => text::format_ipv4,
        S::HasIpv4 => text::has_ipv4,
        S::Hash => text::hash,
        S::HashMd5 | S::HashSha1 | S::HashSha256 => text::digest,
        S::NewGuid => text::new_guid,
        S::ToUtf8 => text::code_points,
        S::MakeString => text::of_code_points,
        S::RegexQuote => text::regex_quote,
        S::GetType => number::get_type,
        _ => return kernel_of_time(function),
    };
    Some(kernel)
}

const fn kernel_of_time(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::StartOfDay
        | S::StartOfWeek
        | S::StartOfMonth
        | S::StartOfYear
        | S::EndOfDay
        | S::EndOfWeek
        | S::EndOfMonth
        | S::EndOfYear => time::boundary,
        S::DateTimeDiff => time::datetime_diff,
        S::DateTimeAdd => time::datetime_add,
        S::DateTimePart => time::datetime_part,
        S::FormatDateTime => time::format_datetime,
        S::FormatTimeSpan => time::format_timespan,
        S::DayOfWeek
        | S::DayOfMonth
        | S::DayOfYear
        | S::WeekOfYear
        | S::HourOfDay
        | S::MonthOfYear
        | S::GetYear
        | S::GetMonth => time::part,
        S::MakeDateTime => time::make_datetime,
        S::MakeTimeSpan => time::make_timespan,
        S::UnixSeconds | S::UnixMilliseconds | S::UnixMicroseconds | S::UnixNanoseconds => time::of_unix,
        S::DateTimeUtcToLocal | S::DateTimeLocalToUtc => time::zone,
        _ => return kernel_of_dynamic(function),
    };
    Some(kernel)
}

const fn kernel_of_dynamic(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::PackArray => dynamic::pack_array,
        S::Pack | S::PackAll | S::PackDictionary => dynamic::pack,
        S::ArrayLength => dynamic::array_length,
        S::ArrayConcat => dynamic::array_concat,
        S::ArraySlice => dynamic::array_slice,
        S::ArraySplit => dynamic::array_split,
        S::ArraySum => dynamic::array_sum,
        S::ArrayIndexOf => dynamic::array_index_of,
        S::ArrayReverse => dynamic::array_reverse,
        S::ArraySortAsc | S::ArraySortDesc => dynamic::array_sort,
        S::ArrayIff => dynamic::array_iff,
        S::ArrayRotateLeft | S::ArrayRotateRight | S::ArrayShiftLeft | S::ArrayShiftRight => {
            dynamic::array_shift
        }
        S::StrcatArray => dynamic::strcat_array,
        S::BagKeys => dynamic::bag_keys,
        S::BagHasKey => dynamic::bag_has_key,
        S::BagMerge => dynamic::bag_merge,
        S::BagRemoveKeys => dynamic::bag_remove_keys,
        S::BagSetKey => dynamic::bag_set_key,
        S::BagZip => dynamic::bag_zip,
        S::TreePath => dynamic::tree_path,
        S::Zip => dynamic::zip,
        S::Repeat => dynamic::repeat,
        S::SetDifference | S::SetIntersect | S::SetUnion => dynamic::set_combine,
        S::SetHasElement => dynamic::set_has_element,
        S::SetEquals => dynamic::set_equals,
        S::JaccardIndex => dynamic::jaccard_index,
        S::DynamicToJson => dynamic::dynamic_to_json,
        _ => return kernel_of_series(function),
    };
    Some(kernel)
}

const fn kernel_of_series(function: Scalar) -> Option<Kernel> {
    use Scalar as S;
    let kernel: Kernel = match function {
        S::SeriesFitLine | S::SeriesFitLineDynamic => series::fit_line,
        S::SeriesFit2Lines | S::SeriesFit2LinesDynamic => series::fit_2lines,
        S::SeriesStats | S::SeriesStatsDynamic => series::stats,
        S::SeriesFillConst | S::SeriesFillForward | S::SeriesFillBackward | S::SeriesFillLinear => {
            series::fill
        }
        S::SeriesOutliers => series::outliers,
        S::SeriesDecompose => series::decompose,
        S::SeriesDecomposeAnomalies => series::decompose_anomalies,
        S::SeriesDecomposeForecast => series::decompose_forecast,
        S::SeriesPeriodsDetect => series::periods_detect,
        S::SeriesPeriodsValidate => series::periods_validate,
        S::SeriesSeasonal => series::seasonal,
        S::SeriesFir => series::fir,
        S::SeriesIir => series::iir,
        S::SeriesAdd | S::SeriesSubtract | S::SeriesMultiply | S::SeriesDivide | S::SeriesPow => {
            series::pairwise
        }
        S::SeriesEquals
        | S::SeriesNotEquals
        | S::SeriesLess
        | S::SeriesLessEquals
        | S::SeriesGreater
        | S::SeriesGreaterEquals => series::compare,
        S::SeriesAbs | S::SeriesExp | S::SeriesLog | S::SeriesSign | S::SeriesCeiling | S::SeriesFloor => {
            series::each
        }
        S::SeriesSum | S::SeriesProduct | S::SeriesMagnitude => series::fold,
        S::SeriesDotProduct => series::dot_product,
        S::SeriesPearsonCorrelation => series::pearson_correlation,
        _ => return None,
    };
    Some(kernel)
}
