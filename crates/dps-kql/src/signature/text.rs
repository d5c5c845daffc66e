//! Text, addresses and digests.

use super::{
    ARRAY, INTEGER, LONG, Layout, NOT_DYNAMIC, Naming, Need, PATTERN, Param, STRING, ScalarFunction,
    Signature, TEXT, TEXT_OR_DYNAMIC, TYPE_LITERAL, Wants, Yields, many, row, sig, to,
};
use crate::{Scalar, Type};

const TEXT_OF_TEXT: &[Signature] = &[to(&[TEXT], Type::String)];
const STRING_OF_STRING: &[Signature] = &[to(&[STRING], Type::String)];
const BAG_OF_STRING: &[Signature] = &[to(&[STRING], Type::Dynamic)];
const TRIMS: &[Signature] = &[to(&[PATTERN, STRING], Type::String)];
const JSON: &[Signature] =
    &[to(&[PATTERN, STRING], Type::String), sig(&[PATTERN, STRING, TYPE_LITERAL], Yields::TypeLiteral)];

pub(super) const TABLE: &[ScalarFunction] = &[
    row(&["strcat"], Scalar::Strcat, &[many(&[TEXT], 1, 64, Yields::Is(Type::String))], Naming::None),
    row(
        &["strcat_delim"],
        Scalar::StrcatDelim,
        &[many(&[TEXT, TEXT, TEXT], 1, 65, Yields::Is(Type::String))],
        Naming::None,
    ),
    row(
        &["strcat_array", "array_strcat"],
        Scalar::StrcatArray,
        &[to(&[ARRAY, TEXT], Type::String)],
        Naming::None,
    ),
    row(&["strlen"], Scalar::Strlen, &[to(&[TEXT_OR_DYNAMIC], Type::Long)], Naming::Prefix("strlen")),
    row(
        &["string_size"],
        Scalar::StringSize,
        &[to(&[TEXT_OR_DYNAMIC], Type::Long)],
        Naming::Prefix("string_size"),
    ),
    row(&["strrep"], Scalar::Strrep, &[to(&[TEXT, LONG, TEXT.opt()], Type::String)], Naming::None),
    row(&["strcmp"], Scalar::Strcmp, &[to(&[TEXT, TEXT], Type::Long)], Naming::None),
    row(
        &["substring"],
        Scalar::Substring,
        &[to(&[TEXT, INTEGER, INTEGER.opt()], Type::String)],
        Naming::None,
    ),
    row(&["split"], Scalar::Split, &[to(&[TEXT, STRING, INTEGER.opt()], Type::Dynamic)], Naming::First),
    row(
        &["indexof"],
        Scalar::IndexOf,
        &[to(&[TEXT, TEXT, INTEGER.opt(), INTEGER.opt(), INTEGER.constant().opt()], Type::Long)],
        Naming::None,
    ),
    row(
        &["indexof_regex"],
        Scalar::IndexOfRegex,
        &[to(&[TEXT, TEXT.constant(), INTEGER.opt(), INTEGER.opt(), INTEGER.constant().opt()], Type::Long)],
        Naming::None,
    ),
    row(
        &["countof"],
        Scalar::CountOf,
        &[to(&[STRING, STRING, STRING.need(Need::OneOf(&["normal", "regex"])).opt()], Type::Long)],
        Naming::None,
    ),
    row(
        &["replace_string"],
        Scalar::ReplaceString,
        &[to(&[STRING, STRING, STRING], Type::String)],
        Naming::None,
    ),
    row(
        &["replace_strings"],
        Scalar::ReplaceStrings,
        &[to(&[STRING, ARRAY, ARRAY], Type::String)],
        Naming::None,
    ),
    row(
        &["replace_regex"],
        Scalar::ReplaceRegex,
        &[to(&[STRING, PATTERN, PATTERN], Type::String)],
        Naming::None,
    ),
    row(&["tolower"], Scalar::ToLower, TEXT_OF_TEXT, Naming::None),
    row(&["toupper"], Scalar::ToUpper, TEXT_OF_TEXT, Naming::None),
    row(&["trim"], Scalar::Trim, TRIMS, Naming::None),
    row(&["trim_start"], Scalar::TrimStart, TRIMS, Naming::None),
    row(&["trim_end"], Scalar::TrimEnd, TRIMS, Naming::None),
    row(&["reverse"], Scalar::Reverse, TEXT_OF_TEXT, Naming::None),
    row(&["translate"], Scalar::Translate, &[to(&[STRING, STRING, STRING], Type::String)], Naming::None),
    row(
        &["extract"],
        Scalar::Extract,
        &[
            to(&[PATTERN, LONG, STRING], Type::String),
            sig(&[PATTERN, LONG, STRING, TYPE_LITERAL], Yields::TypeLiteral),
        ],
        Naming::None,
    ),
    row(
        &["extract_all", "extractall"],
        Scalar::ExtractAll,
        &[to(&[PATTERN, STRING], Type::Dynamic), to(&[PATTERN, ARRAY, STRING], Type::Dynamic)],
        Naming::None,
    ),
    row(&["extract_json", "extractjson"], Scalar::ExtractJson, JSON, Naming::None),
    row(&["regex_quote"], Scalar::RegexQuote, TEXT_OF_TEXT, Naming::None),
    row(&["parse_url", "parseurl"], Scalar::ParseUrl, BAG_OF_STRING, Naming::None),
    row(&["parse_urlquery", "parseurlquery"], Scalar::ParseUrlQuery, BAG_OF_STRING, Naming::None),
    row(&["url_encode"], Scalar::UrlEncode, STRING_OF_STRING, Naming::None),
    row(&["url_encode_component"], Scalar::UrlEncodeComponent, STRING_OF_STRING, Naming::None),
    row(&["url_decode"], Scalar::UrlDecode, STRING_OF_STRING, Naming::None),
    row(
        &["base64_encode_tostring", "base64_encodestring"],
        Scalar::Base64Encode,
        STRING_OF_STRING,
        Naming::None,
    ),
    row(
        &["base64_decode_tostring", "base64_decodestring"],
        Scalar::Base64Decode,
        STRING_OF_STRING,
        Naming::None,
    ),
    row(&["parse_path"], Scalar::ParsePath, BAG_OF_STRING, Naming::None),
    row(&["parse_version"], Scalar::ParseVersion, &[to(&[STRING], Type::Decimal)], Naming::None),
    row(&["parse_csv"], Scalar::ParseCsv, &[to(&[TEXT_OR_DYNAMIC], Type::Dynamic)], Naming::First),
    row(&["parse_ipv4"], Scalar::ParseIpv4, &[to(&[STRING], Type::Long)], Naming::None),
    row(&["parse_ipv4_mask"], Scalar::ParseIpv4Mask, &[to(&[STRING, LONG], Type::Long)], Naming::None),
    row(
        &["ipv4_compare"],
        Scalar::Ipv4Compare,
        &[to(&[STRING, STRING, LONG.opt()], Type::Long)],
        Naming::None,
    ),
    row(
        &["ipv4_is_match"],
        Scalar::Ipv4IsMatch,
        &[to(&[STRING, STRING, LONG.opt()], Type::Bool)],
        Naming::None,
    ),
    row(&["ipv4_is_in_range"], Scalar::Ipv4IsInRange, &[to(&[STRING, STRING], Type::Bool)], Naming::None),
    row(&["ipv4_is_private"], Scalar::Ipv4IsPrivate, &[to(&[STRING], Type::Bool)], Naming::None),
    row(&["ipv4_netmask_suffix"], Scalar::Ipv4NetmaskSuffix, &[to(&[STRING], Type::Long)], Naming::None),
    row(
        &["format_ipv4"],
        Scalar::FormatIpv4,
        &[to(&[INTEGER, LONG.opt()], Type::String), to(&[TEXT, LONG.opt()], Type::String)],
        Naming::None,
    ),
    row(&["has_ipv4"], Scalar::HasIpv4, &[to(&[TEXT_OR_DYNAMIC, STRING], Type::Bool)], Naming::None),
    row(&["hash"], Scalar::Hash, &[to(&[NOT_DYNAMIC, INTEGER.opt()], Type::Long)], Naming::None),
    row(&["hash_md5"], Scalar::HashMd5, &[to(&[NOT_DYNAMIC], Type::String)], Naming::None),
    row(&["hash_sha1"], Scalar::HashSha1, &[to(&[NOT_DYNAMIC], Type::String)], Naming::None),
    row(&["hash_sha256"], Scalar::HashSha256, &[to(&[NOT_DYNAMIC], Type::String)], Naming::None),
    row(&["new_guid"], Scalar::NewGuid, &[to(&[], Type::Guid)], Naming::None),
    row(
        &["unicode_codepoints_from_string", "to_utf8"],
        Scalar::ToUtf8,
        &[to(&[TEXT], Type::Dynamic)],
        Naming::None,
    ),
    row(
        &["unicode_codepoints_to_string", "make_string"],
        Scalar::MakeString,
        &[Signature {
            params: &[Param::new(Wants::IntegerOrArray)],
            layout: Layout::Repeating { group: 1, most: super::MOST_ARGUMENTS },
            yields: Yields::Is(Type::String),
        }],
        Naming::None,
    ),
];
