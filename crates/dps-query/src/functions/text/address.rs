//! IPv4 addresses, with a prefix or without, and versions.

use std::net::Ipv4Addr;

use dps_kql::Scalar;

use crate::functions::datum::Datum;
use crate::functions::decimal;
use crate::functions::kernel::{arg, long_at, text_at};
use crate::functions::udf::Call;

const PRIVATE: [(u32, u32); 3] = [(0x0a00_0000, 8), (0xac10_0000, 12), (0xc0a8_0000, 16)];

/// An address and how many of its bits count.
fn address(text: &str) -> Option<(u32, u32)> {
    let (address, prefix) = match text.trim().split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().ok().filter(|prefix| *prefix <= 32)?),
        None => (text.trim(), 32),
    };
    Some((address.parse::<Ipv4Addr>().ok()?.to_bits(), prefix))
}

fn masked(address: u32, prefix: u32) -> u32 {
    address & u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0)
}

/// The prefix argument: 32 where there is none; none where it is out of range.
fn prefix(args: &[Datum<'_>], index: usize) -> Option<u32> {
    if args.len() <= index {
        return Some(32);
    }
    long_at(args, index).and_then(|prefix| u32::try_from(prefix).ok()).filter(|prefix| *prefix <= 32)
}

/// `parse_ipv4`, `parse_ipv4_mask`.
pub fn parse_ipv4<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (Some((address, own)), Some(prefix)) = (address(text_at(args, 0)), prefix(args, 1)) else {
        return Datum::Null;
    };
    Datum::Long(i64::from(masked(address, own.min(prefix))))
}

/// `ipv4_compare`, `ipv4_is_match`: by the shortest of all prefixes.
pub fn ipv4_compare<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let pair = address(text_at(args, 0)).zip(address(text_at(args, 1)));
    let (Some(((left, one), (right, other))), Some(prefix)) = (pair, prefix(args, 2)) else {
        return Datum::Null;
    };
    let prefix = prefix.min(one).min(other);
    let order = masked(left, prefix).cmp(&masked(right, prefix));
    if call.function == Scalar::Ipv4IsMatch { Datum::Bool(order.is_eq()) } else { Datum::Long(order as i64) }
}

/// `ipv4_is_in_range(address, range)`.
pub fn ipv4_is_in_range<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let pair = address(text_at(args, 0)).zip(address(text_at(args, 1)));
    pair.map(|((address, _), (range, prefix))| masked(address, prefix) == masked(range, prefix)).into()
}

/// `ipv4_is_private`.
pub fn ipv4_is_private<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let within = |(address, own): (u32, u32)| {
        PRIVATE.iter().any(|(range, prefix)| own >= *prefix && masked(address, *prefix) == *range)
    };
    address(text_at(args, 0)).map(within).into()
}

/// `ipv4_netmask_suffix`.
pub fn ipv4_netmask_suffix<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    address(text_at(args, 0)).map(|(_, prefix)| i64::from(prefix)).into()
}

/// `format_ipv4`, of text or a number; empty where it is no address.
pub fn format_ipv4<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let found = match arg(args, 0) {
        Datum::Text(text) => address(text),
        other => other.integer().and_then(|value| u32::try_from(value).ok()).map(|value| (value, 32)),
    };
    let text = found
        .zip(prefix(args, 1))
        .map(|((address, own), prefix)| Ipv4Addr::from_bits(masked(address, own.min(prefix))).to_string());
    Datum::text(text.unwrap_or_default())
}

/// `has_ipv4`: the address stands in the text and nothing that could belong to it touches it.
pub fn has_ipv4<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (text, wanted) = (text_at(args, 0), text_at(args, 1).trim());
    if wanted.parse::<Ipv4Addr>().is_err() {
        return Datum::Bool(false);
    }
    let touches = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    let found = text.match_indices(wanted).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().chars().next_back();
        let after = text.get(at + wanted.len()..).unwrap_or_default();
        let continues =
            after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        !touches(before) && before != Some('.') && !touches(after.chars().next()) && !continues
    });
    Datum::Bool(found)
}

/// `parse_version`: one to four numbers of at most eight digits, as one that sorts.
pub fn parse_version<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let parts: Vec<&str> = text_at(args, 0).trim().split('.').collect();
    if parts.len() > 4 {
        return Datum::Null;
    }
    let mut value: i128 = 0;
    for index in 0..4 {
        let part = parts.get(index).copied().unwrap_or("0");
        let digits = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let Some(part) = digits.then(|| part.parse::<i128>().ok()).flatten() else { return Datum::Null };
        value = value * 100_000_000 + part;
    }
    // A first number of more than four digits is beyond what a decimal holds here, and so null.
    decimal::of_whole(value).map_or(Datum::Null, Datum::Decimal)
}
