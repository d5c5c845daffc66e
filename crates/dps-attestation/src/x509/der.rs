//! A walk over a certificate's outer structure (RFC 5280 §4.1): where the signed part, the key and the signature
//! stand, byte for byte. Owns no meaning; must not interpret names, times or extensions (certificate.rs does).

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const EXPLICIT_0: u8 = 0xa0;

/// One element: its tag, its content, and the element as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

/// The element at the head of `input`, and what follows it. DER only: definite lengths, in their shortest form.
pub(crate) fn element(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if octets.len() > 4 || octets.first().is_none_or(|octet| *octet == 0) {
            return None;
        }
        let length = octets.iter().fold(0_usize, |sum, octet| (sum << 8) | usize::from(*octet));
        (length, rest)
    };
    if tag & 0x1f == 0x1f || (first >= 0x80 && length < 0x80) {
        return None;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = input.get(..input.len() - rest.len())?;
    Some((Element { tag, content, whole }, rest))
}

/// The same, when the tag is the expected one.
fn expect(input: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    element(input).filter(|(found, _)| found.tag == tag)
}

/// The bytes of a bit string that has whole bytes only.
fn bits(element: Element<'_>) -> Option<&[u8]> {
    let (&unused, bits) = element.content.split_first()?;
    (unused == 0).then_some(bits)
}

/// A public key as a certificate carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spki<'a> {
    /// The content of the algorithm's `SEQUENCE`, as `SignatureVerificationAlgorithm::public_key_alg_id` has it.
    pub algorithm: &'a [u8],
    /// The key's bits.
    pub key: &'a [u8],
    /// The whole `SubjectPublicKeyInfo`.
    pub whole: &'a [u8],
}

/// Where the parts of a certificate stand.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// `tbsCertificate`: what is signed.
    pub(crate) signed: &'a [u8],
    /// The content of `signatureAlgorithm`.
    pub(crate) algorithm: &'a [u8],
    /// The content of `signature` within the signed part; must be the same.
    pub(crate) inner_algorithm: &'a [u8],
    /// The signature's bits.
    pub(crate) signature: &'a [u8],
    /// The public key.
    pub(crate) spki: Spki<'a>,
    /// The serial number's bytes.
    pub(crate) serial: &'a [u8],
}

/// Takes a certificate apart.
pub(crate) fn parts(der: &[u8]) -> Option<Parts<'_>> {
    let (certificate, rest) = expect(der, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (signed, rest) = expect(certificate.content, SEQUENCE)?;
    let (algorithm, rest) = expect(rest, SEQUENCE)?;
    let (signature, rest) = expect(rest, BIT_STRING)?;
    if !rest.is_empty() {
        return None;
    }
    let inner = expect(signed.content, EXPLICIT_0).map_or(signed.content, |(_, rest)| rest);
    let (serial, inner) = expect(inner, INTEGER)?;
    let (inner_algorithm, inner) = expect(inner, SEQUENCE)?;
    let (_issuer, inner) = expect(inner, SEQUENCE)?;
    let (_validity, inner) = expect(inner, SEQUENCE)?;
    let (_subject, inner) = expect(inner, SEQUENCE)?;
    let (spki, _) = expect(inner, SEQUENCE)?;
    Some(Parts {
        signed: signed.whole,
        algorithm: algorithm.content,
        inner_algorithm: inner_algorithm.content,
        signature: bits(signature)?,
        spki: public_key(spki)?,
        serial: serial.content,
    })
}

fn public_key(spki: Element<'_>) -> Option<Spki<'_>> {
    let (algorithm, rest) = expect(spki.content, SEQUENCE)?;
    let (key, rest) = expect(rest, BIT_STRING)?;
    let key = bits(key)?;
    rest.is_empty().then_some(Spki { algorithm: algorithm.content, key, whole: spki.whole })
}

/// Length of an RSA modulus in bits, from the key's bits (RFC 8017 §A.1.1).
pub(crate) fn rsa_bits(key: &[u8]) -> Option<usize> {
    let (sequence, _) = expect(key, SEQUENCE)?;
    let (modulus, _) = expect(sequence.content, INTEGER)?;
    let zeros = modulus.content.iter().take_while(|byte| **byte == 0).count();
    let modulus = modulus.content.get(zeros..)?;
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}
