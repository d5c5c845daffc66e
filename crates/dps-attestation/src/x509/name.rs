//! Distinguished names: as the APIs show them, and as they are compared. Owns the text form and the canonical form;
//! must not know what a name is used for.

use aws_lc_rs::digest;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// SHA-256 of a name's canonical form: equal for names that RFC 5280 §7.1 calls equal, whatever their encoding.
pub(crate) type NameKey = [u8; 32];

/// Short names that .NET, and so Azure, writes.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.43", "I"),
    ("1.2.840.113549.1.9.1", "E"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The name as Azure shows it: most specific part first, `CN=device-1, O=Contoso`.
pub(crate) fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute_text).collect::<Vec<_>>().join(" + ")).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(", ")
}

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let label = SHORT.iter().find(|(id, _)| *id == oid).map(|(_, short)| (*short).to_owned());
    let label = label.unwrap_or_else(|| format!("OID.{oid}"));
    format!("{label}={}", quoted(&printable(&value(attribute))))
}

/// Control characters escaped: a name is chosen by whoever made the certificate, and ends up in logs and terminals.
fn printable(value: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    value.chars().map(escaped).collect()
}

/// Quotes what would be misread (RFC 1779 §2.3, as .NET does).
fn quoted(value: &str) -> String {
    let risky = |c: char| matches!(c, ',' | '+' | '=' | '"' | '<' | '>' | '#' | ';');
    if value.contains(risky) || value.trim() != value || value.is_empty() {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

/// The value of an attribute as text; bytes that are none as `#` and hex.
pub(crate) fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let any = attribute.attr_value();
    string(any.tag().0, any.data).unwrap_or_else(|| format!("#{}", hex::encode(any.data)))
}

fn string(tag: u32, bytes: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString, IA5String, VisibleString
        12 | 18 | 19 | 22 | 26 => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // TeletexString: Latin-1 in practice
        20 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        // UniversalString
        28 => bytes.chunks(4).map(|four| char::from_u32(u32::from_be_bytes(four.try_into().ok()?))).collect(),
        // BMPString
        30 => {
            let units: Option<Vec<u16>> =
                bytes.chunks(2).map(|two| two.try_into().ok().map(u16::from_be_bytes)).collect();
            String::from_utf16(&units?).ok()
        }
        _ => None,
    }
}

/// The canonical form of each relative name, from the root down.
pub(crate) fn rdns(name: &X509Name<'_>) -> Vec<Vec<u8>> {
    let rdn = |rdn: &RelativeDistinguishedName<'_>| {
        let mut attributes: Vec<Vec<u8>> = rdn.iter().map(canonical_attribute).collect();
        attributes.sort();
        let mut canonical = Vec::new();
        for attribute in attributes {
            extend(&mut canonical, &attribute);
        }
        canonical
    };
    name.iter_rdn().map(rdn).collect()
}

/// The canonical form, hashed.
pub(crate) fn key(rdns: &[Vec<u8>]) -> NameKey {
    let mut canonical = Vec::new();
    for rdn in rdns {
        extend(&mut canonical, rdn);
    }
    let hash = digest::digest(&digest::SHA256, &canonical);
    let mut key = NameKey::default();
    key.copy_from_slice(hash.as_ref());
    key
}

fn canonical_attribute(attribute: &AttributeTypeAndValue<'_>) -> Vec<u8> {
    let any = attribute.attr_value();
    let mut canonical = Vec::new();
    extend(&mut canonical, attribute.attr_type().as_bytes());
    if let Some(text) = string(any.tag().0, any.data) {
        let folded = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        extend(&mut canonical, b"text");
        extend(&mut canonical, folded.as_bytes());
    } else {
        extend(&mut canonical, &any.tag().0.to_be_bytes());
        extend(&mut canonical, any.data);
    }
    canonical
}

/// Length first, so that no two sequences of parts run together into the same bytes. Hashes of this are stored, so
/// the form must not change, nor differ between machines.
fn extend(canonical: &mut Vec<u8>, part: &[u8]) {
    canonical.extend_from_slice(&(part.len() as u64).to_be_bytes());
    canonical.extend_from_slice(part);
}
