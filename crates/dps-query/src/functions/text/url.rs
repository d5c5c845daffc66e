//! URLs and file paths.

use std::fmt::Write as _;

use dps_kql::Scalar;

use crate::functions::datum::Datum;
use crate::functions::json::{self, Bag};
use crate::functions::kernel::text_at;
use crate::functions::udf::Call;

/// `url_encode` writes a space as `+` and hexadecimal digits in lower case, `url_encode_component` as RFC 3986 does.
pub fn url_encode<'a>(call: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let component = call.function == Scalar::UrlEncodeComponent;
    let mut out = String::new();
    for byte in text_at(args, 0).bytes() {
        let plain = match byte {
            b'-' | b'_' | b'.' => true,
            b'~' => component,
            b'!' | b'*' | b'(' | b')' => !component,
            byte => byte.is_ascii_alphanumeric(),
        };
        match byte {
            byte if plain => out.push(char::from(byte)),
            b' ' if !component => out.push('+'),
            byte if component => {
                let _ = write!(out, "%{byte:02X}");
            }
            byte => {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    Datum::text(out)
}

/// `url_decode`.
pub fn url_decode<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    Datum::text(decoded(text_at(args, 0)))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair =
            text.get(at + 1..at + 3).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn query_bag(query: &str) -> String {
    let mut bag = Bag::default();
    for pair in query.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        bag.push(&decoded(name), &json::quote(&decoded(value)));
        if bag.is_full() {
            break;
        }
    }
    match bag.finish() {
        Datum::Json(text) => text.into_owned(),
        _ => "{}".to_owned(),
    }
}

/// `parse_urlquery`.
pub fn parse_url_query<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = text_at(args, 0);
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let mut bag = Bag::default();
    bag.push("Query Parameters", &query_bag(query));
    bag.finish()
}

/// `parse_url`.
pub fn parse_url<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let (rest, fragment) = cut(text_at(args, 0), '#');
    let (rest, query) = cut(rest, '?');
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let (authority, path) = match rest.find('/') {
        Some(at) if !scheme.is_empty() => rest.split_at(at),
        None if !scheme.is_empty() => (rest, ""),
        _ => ("", rest),
    };
    let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (username, password) = cut(user_info, ':');
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        _ => (host_port, ""),
    };
    let mut bag = Bag::default();
    for (name, value) in [("Scheme", scheme), ("Host", host), ("Port", port), ("Path", path)] {
        bag.push(name, &json::quote(value));
    }
    bag.push("Username", &json::quote(username));
    bag.push("Password", &json::quote(password));
    bag.push("Query Parameters", &query_bag(query));
    bag.push("Fragment", &json::quote(fragment));
    bag.finish()
}

fn cut(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

/// `parse_path`.
pub fn parse_path<'a>(_: &Call, args: &[Datum<'a>]) -> Datum<'a> {
    let text = text_at(args, 0);
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let separators = ['/', '\\'];
    let (directory, last) = match rest.rfind(separators) {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
        None => ("", rest),
    };
    let (file, stream) = cut(last, ':');
    let root = match rest.as_bytes() {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => rest.get(..2).unwrap_or_default(),
        _ => "",
    };
    let directory_name = directory.rsplit(separators).next().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let mut bag = Bag::default();
    for (name, value) in [
        ("Scheme", scheme),
        ("RootPath", root),
        ("DirectoryPath", directory),
        ("DirectoryName", directory_name),
        ("Filename", file),
        ("Extension", extension),
        ("AlternateDataStreamName", stream),
    ] {
        bag.push(name, &json::quote(value));
    }
    bag.finish()
}
