//! Base64, digests, GUIDs and code points.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, prelude::BASE64_STANDARD};
use dps_kql::Scalar;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::edit::Growing;
use crate::functions::datum::Datum;
use crate::functions::json::{self, Array};
use crate::functions::kernel::{arg, long_at, text_at};
use crate::functions::number::to_text;
use crate::functions::udf::Call;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `base64_encode_tostring`.
pub fn base64_encode<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::text(BASE64_STANDARD.encode(text_at(args, 0)))
}

/// `base64_decode_tostring`: empty of what is not base64 or no text.
pub fn base64_decode<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let bytes = LENIENT.decode(text_at(args, 0)).ok();
    Datum::text(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default())
}

/// `hash`: xxHash64, of numbers over their eight bytes.
pub fn hash<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let value = arg(args, 0);
    let hash = hash_of(value).cast_signed();
    if args.len() < 2 {
        return Datum::Long(hash);
    }
    long_at(args, 1).filter(|modulus| *modulus > 0).map(|modulus| hash.rem_euclid(modulus)).into()
}

/// The hash of a value's bytes.
pub fn hash_of(value: &Datum<'_>) -> u64 {
    let xx = |bytes: &[u8]| twox_hash::XxHash64::oneshot(0, bytes);
    match value {
        Datum::Bool(value) => xx(&[u8::from(*value)]),
        Datum::Int(value) => xx(&i64::from(*value).to_le_bytes()),
        Datum::Long(value) | Datum::DateTime(value) | Datum::TimeSpan(value) => xx(&value.to_le_bytes()),
        Datum::Real(value) => xx(&value.to_le_bytes()),
        Datum::Decimal(value) => xx(&value.to_le_bytes()),
        Datum::Text(text) | Datum::Json(text) => xx(text.as_bytes()),
        Datum::Guid(text) => xx(&guid(text).unwrap_or_default()),
        Datum::Null => xx(&[]),
    }
}

/// `hash_md5`, `hash_sha1`, `hash_sha256` of the value's text, in hexadecimal.
pub fn digest<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = to_text(arg(args, 0));
    Datum::text(match call.function {
        Scalar::HashMd5 => hex(&Md5::digest(text.as_bytes())),
        Scalar::HashSha1 => hex(&Sha1::digest(text.as_bytes())),
        _ => hex(&Sha256::digest(text.as_bytes())),
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of a GUID, with or without hyphens and braces.
pub fn guid(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text.trim()).ok().map(uuid::Uuid::into_bytes)
}

/// A GUID as text.
pub fn guid_text(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).to_string()
}

/// `new_guid`.
pub fn new_guid<'a>(_: &Call, _: &[Datum<'a>]) -> Datum<'a> {
    Datum::Guid(uuid::Uuid::new_v4().to_string().into())
}

/// `unicode_codepoints_from_string`.
pub fn code_points<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    text_at(args, 0).chars().map(|character| u32::from(character).to_string()).collect::<Array>().finish()
}

/// `unicode_codepoints_to_string`: of numbers, or arrays of them. What is no character is left out.
pub fn of_code_points<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let mut out = Growing::default();
    let mut push = |value: Option<i64>| {
        let character = value.and_then(|value| u32::try_from(value).ok()).and_then(char::from_u32);
        if let Some(character) = character {
            out.push(character.encode_utf8(&mut [0; 4]));
        }
    };
    for value in args {
        match value.as_json().and_then(json::elements) {
            Some(elements) => elements.into_iter().for_each(|element| push(json::scalar(element).integer())),
            None => push(value.integer()),
        }
    }
    out.finish()
}
