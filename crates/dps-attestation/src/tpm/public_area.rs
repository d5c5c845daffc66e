//! The public area of a TPM key: `TPM2B_PUBLIC` read from what strangers send, RSA keys alone (TPM 2.0 Part 2 §12.2).
//! Owns the layout in both byte orders, the templates and the rules for a key that may protect others. Must not know
//! what is wrapped to the key, nor whose it is.

use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use dps_model::limits::{MAX_TPM_KEY, MAX_TPM_PUBLIC};

use super::hash::HashAlgorithm;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const ALG_RSA: u16 = 0x0001;
const ALG_ECC: u16 = 0x0023;
const ALG_AES: u16 = 0x0006;
const ALG_NULL: u16 = 0x0010;
const ALG_CFB: u16 = 0x0043;

/// What a key must be to protect others in a TPM that never shows it: `fixedTPM`, `fixedParent`,
/// `sensitiveDataOrigin`, `restricted`, `decrypt`, and not `sign`.
const REQUIRED: [(u32, &str); 5] = [
    (1 << 1, "fixedTPM"),
    (1 << 4, "fixedParent"),
    (1 << 5, "sensitiveDataOrigin"),
    (1 << 16, "restricted"),
    (1 << 17, "decrypt"),
];
const SIGN: u32 = 1 << 18;

/// `TPM2_PolicySecret(TPM_RH_ENDORSEMENT)` (TCG EK Credential Profile, `PolicyA`).
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
const LOW_RANGE_ATTRIBUTES: u32 = 0x0003_00b2;
const HIGH_RANGE_ATTRIBUTES: u32 = 0x0003_00f2;

/// Why bytes or a text are no key that can be challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicAreaError {
    /// Longer than is read.
    #[error("it has {length} characters or bytes, more than are read")]
    TooLong {
        /// As it came.
        length: usize,
    },
    /// No base64.
    #[error("it is not base64")]
    NotBase64,
    /// Another form of key.
    #[error("it is {what}; save the TPM2B_PUBLIC itself (tpm2_readpublic -f tss) and send its base64")]
    OtherForm {
        /// What it looks like.
        what: &'static str,
    },
    /// Ends before its structure does.
    #[error("it is too short: it ends within {field}")]
    Truncated {
        /// The field that is cut off.
        field: &'static str,
    },
    /// The length before the structure is wrong.
    #[error("its length field says {declared} bytes, {found} follow")]
    LengthMismatch {
        /// What it says.
        declared: usize,
        /// What there is.
        found: usize,
    },
    /// Bytes after the structure.
    #[error("{count} bytes follow the structure")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// Little-endian, and not in the layout that can be converted.
    #[error(
        "it is in the host's byte order (base64 begins with OgE…, not AToA…) and cannot be converted: {why}; save it \
         in the order of the wire (tpm2_readpublic -f tss)"
    )]
    HostOrder {
        /// What is missing.
        why: &'static str,
    },
    /// An elliptic curve key.
    #[error(
        "it is an ECC key (type 0x0023); devices of this service are challenged through RSA keys: create the RSA \
         endorsement key (tpm2_createek -G rsa)"
    )]
    EccKey,
    /// Some other kind of object.
    #[error("its type is {kind:#06x}, which is no RSA key (0x0001)")]
    NotRsa {
        /// `TPMI_ALG_PUBLIC`.
        kind: u16,
    },
    /// A name algorithm that is not accepted.
    #[error("its name algorithm is {id:#06x}; SHA-256, SHA-384 and SHA-512 are accepted")]
    NameAlgorithm {
        /// `TPMI_ALG_HASH`.
        id: u16,
    },
    /// A policy that is no digest of the name algorithm.
    #[error("its policy has {length} bytes, a digest of its name algorithm has another length")]
    PolicyLength {
        /// As it came.
        length: usize,
    },
    /// Another cipher than AES-CFB.
    #[error(
        "its symmetric cipher ({id:#06x}, {bits} bits, mode {mode:#06x}) is not AES-128 or AES-256 in CFB mode"
    )]
    Symmetric {
        /// `TPMI_ALG_SYM_OBJECT`.
        id: u16,
        /// Key bits.
        bits: u16,
        /// `TPMI_ALG_SYM_MODE`.
        mode: u16,
    },
    /// A signing or encryption scheme, which a key that protects others has not.
    #[error("its scheme is {id:#06x}; a key that protects others has none (0x0010)")]
    Scheme {
        /// `TPMI_ALG_RSA_SCHEME`.
        id: u16,
    },
    /// A length of key that is not accepted.
    #[error("it has {bits} bits; 2048, 3072 and 4096 are accepted")]
    KeyBits {
        /// As it says.
        bits: u16,
    },
    /// Another public exponent.
    #[error("its public exponent is {exponent}; 65537 is accepted (written 0 or 65537)")]
    Exponent {
        /// As it says.
        exponent: u32,
    },
    /// No modulus: it says how a key is to be made.
    #[error(
        "it holds no modulus (unique is {unique}): it is the template that a key is created from, not the key itself"
    )]
    Template {
        /// `empty` or `all zero`.
        unique: &'static str,
    },
    /// A modulus that cannot be one.
    #[error("its modulus has {length} bytes or is even or too small, which does not fit {bits} bits")]
    Modulus {
        /// Bytes.
        length: usize,
        /// Key bits.
        bits: u16,
    },
    /// Attributes of a key that does not stay in its TPM or does not protect others.
    #[error("its attributes ({attributes:#010x}) are not those of a key that protects others: {lacks}")]
    Attributes {
        /// `TPMA_OBJECT`.
        attributes: u32,
        /// The first rule that it breaks.
        lacks: &'static str,
    },
}

/// In which byte order a public area came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Big-endian, as TPMs and SDKs write it; base64 begins with `AToA`.
    Wire,
    /// A little-endian host's memory, as old tpm2-tools saved it; base64 begins with `OgEA`. Converted.
    Host,
}

/// Which well-known template a key's public area fits.
///
/// A key does not tell whether its template's `unique` was 256 zero bytes (TCG's low range, tpm2-tools) or empty (the
/// Azure SDKs): the modulus has taken its place. Two such templates give two keys, which differ in nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Endorsement key of the low range: the standard policy, no user authorisation. What the SDKs use.
    EndorsementLowRange,
    /// Endorsement key of the high range: user authorisation, another policy.
    EndorsementHighRange,
    /// A storage key with user authorisation and no policy.
    Storage,
    /// None of these.
    Other,
}

impl Template {
    /// For a sentence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndorsementLowRange => "the standard endorsement key template",
            Self::EndorsementHighRange => "the high-range endorsement key template",
            Self::Storage => "a storage key template",
            Self::Other => "a template of its own",
        }
    }
}

/// An RSA key's public area, in the order of the wire.
#[derive(Clone)]
pub struct PublicArea {
    /// `TPMT_PUBLIC`.
    area: Vec<u8>,
    byte_order: ByteOrder,
    fields: Fields,
}

#[derive(Clone)]
struct Fields {
    name_algorithm: HashAlgorithm,
    attributes: u32,
    policy: Vec<u8>,
    symmetric: (u16, u16, u16),
    scheme: u16,
    bits: u16,
    modulus: Vec<u8>,
}

impl PartialEq for PublicArea {
    /// The same key with the same properties, whatever the order it came in.
    fn eq(&self, other: &Self) -> bool {
        self.area == other.area
    }
}

impl Eq for PublicArea {}

impl std::fmt::Debug for PublicArea {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicArea")
            .field("name", &self.name_hex())
            .field("bits", &self.fields.bits)
            .field("template", &self.template())
            .field("byte_order", &self.byte_order)
            .finish_non_exhaustive()
    }
}

impl PublicArea {
    /// Reads base64 as enrollments and register bodies hold it: line breaks, a missing padding and `\/` for `/` are
    /// forgiven.
    pub fn read(text: &str) -> Result<Self, PublicAreaError> {
        if text.len() > MAX_TPM_KEY {
            return Err(PublicAreaError::TooLong { length: text.len() });
        }
        let text = text.trim();
        if text.starts_with("-----BEGIN") {
            return Err(PublicAreaError::OtherForm { what: "PEM" });
        }
        let packed: Vec<u8> =
            text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'\\').collect();
        let bytes = LENIENT.decode(packed).map_err(|_| PublicAreaError::NotBase64)?;
        Self::parse(&bytes)
    }

    /// Reads `TPM2B_PUBLIC`, in either byte order, and asks that it be a key that can protect others.
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicAreaError> {
        if bytes.len() > MAX_TPM_PUBLIC {
            return Err(PublicAreaError::TooLong { length: bytes.len() });
        }
        let (area, byte_order) = wire_area(bytes)?;
        let fields = Fields::read(&area)?;
        fields.check()?;
        Ok(Self { area, byte_order, fields })
    }

    /// `TPM2B_PUBLIC` in the order of the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        sized(&self.area)
    }

    /// Base64 of it, as an enrollment should hold it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.to_bytes())
    }

    /// The order it came in.
    pub fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// The object's name: its name algorithm and the digest of its public area (Part 1 §16).
    pub fn name(&self) -> Vec<u8> {
        name(self.fields.name_algorithm, &self.area)
    }

    /// The name, lower-case hex: what events and lookups call the key.
    pub fn name_hex(&self) -> String {
        hex::encode(self.name())
    }

    /// Length of the key in bits.
    pub fn bits(&self) -> u16 {
        self.fields.bits
    }

    /// The template that its properties fit.
    pub fn template(&self) -> Template {
        let Fields { attributes, policy, .. } = &self.fields;
        match *attributes {
            LOW_RANGE_ATTRIBUTES if *policy == POLICY_A => Template::EndorsementLowRange,
            HIGH_RANGE_ATTRIBUTES if !policy.is_empty() => Template::EndorsementHighRange,
            other if other & (1 << 6) != 0 && policy.is_empty() => Template::Storage,
            _ => Template::Other,
        }
    }

    /// Differs from the other in the modulus alone: created from the same properties.
    pub fn same_properties(&self, other: &Self) -> bool {
        let length = self.area.len().saturating_sub(self.fields.modulus.len());
        self.area.len() == other.area.len() && self.area.get(..length) == other.area.get(..length)
    }

    pub(super) fn name_algorithm(&self) -> HashAlgorithm {
        self.fields.name_algorithm
    }

    /// Key bits of the AES-CFB that protects what is wrapped to the key.
    pub(super) fn symmetric_bits(&self) -> u16 {
        self.fields.symmetric.1
    }

    pub(super) fn modulus(&self) -> &[u8] {
        &self.fields.modulus
    }
}

impl Fields {
    fn read(area: &[u8]) -> Result<Self, PublicAreaError> {
        let mut reader = Reader(area);
        match reader.u16("type")? {
            ALG_RSA => {}
            ALG_ECC => return Err(PublicAreaError::EccKey),
            kind => return Err(PublicAreaError::NotRsa { kind }),
        }
        let id = reader.u16("nameAlg")?;
        let name_algorithm = HashAlgorithm::of(id).ok_or(PublicAreaError::NameAlgorithm { id })?;
        let attributes = reader.u32("objectAttributes")?;
        let policy = reader.sized("authPolicy")?.to_vec();
        if !policy.is_empty() && policy.len() != name_algorithm.length() {
            return Err(PublicAreaError::PolicyLength { length: policy.len() });
        }
        let symmetric = match reader.u16("symmetric")? {
            ALG_NULL => (ALG_NULL, 0, ALG_NULL),
            id => (id, reader.u16("symmetric.keyBits")?, reader.u16("symmetric.mode")?),
        };
        let scheme = reader.u16("scheme")?;
        // RSASSA, RSAPSS and OAEP name a hash; RSAES and none do not.
        if matches!(scheme, 0x0014 | 0x0016 | 0x0017) {
            reader.u16("scheme.hashAlg")?;
        }
        let bits = reader.u16("keyBits")?;
        if !matches!(bits, 2048 | 3072 | 4096) {
            return Err(PublicAreaError::KeyBits { bits });
        }
        let exponent = reader.u32("exponent")?;
        if !matches!(exponent, 0 | 65_537) {
            return Err(PublicAreaError::Exponent { exponent });
        }
        let modulus = reader.sized("unique")?.to_vec();
        match reader.0.len() {
            0 => Ok(Self { name_algorithm, attributes, policy, symmetric, scheme, bits, modulus }),
            count => Err(PublicAreaError::Trailing { count }),
        }
    }

    /// The rules for a key that protects others, endorsement key and storage root key alike.
    fn check(&self) -> Result<(), PublicAreaError> {
        let attributes = self.attributes;
        let lacking = REQUIRED.iter().find(|(bit, _)| attributes & bit == 0).map(|(_, name)| *name);
        if let Some(lacks) = lacking.or((attributes & SIGN != 0).then_some("sign is set")) {
            return Err(PublicAreaError::Attributes { attributes, lacks });
        }
        let (id, bits, mode) = self.symmetric;
        if id != ALG_AES || mode != ALG_CFB || !matches!(bits, 128 | 256) {
            return Err(PublicAreaError::Symmetric { id, bits, mode });
        }
        if self.scheme != ALG_NULL {
            return Err(PublicAreaError::Scheme { id: self.scheme });
        }
        let modulus = &self.modulus;
        if modulus.iter().all(|byte| *byte == 0) {
            let unique = if modulus.is_empty() { "empty" } else { "all zero" };
            return Err(PublicAreaError::Template { unique });
        }
        let full = modulus.len() == usize::from(self.bits / 8)
            && modulus.first().is_some_and(|byte| byte & 0x80 != 0)
            && modulus.last().is_some_and(|byte| byte & 1 != 0);
        if full { Ok(()) } else { Err(PublicAreaError::Modulus { length: modulus.len(), bits: self.bits }) }
    }
}

/// `TPMT_PUBLIC` in the order of the wire, out of `TPM2B_PUBLIC` in either order.
fn wire_area(bytes: &[u8]) -> Result<(Vec<u8>, ByteOrder), PublicAreaError> {
    let Some((head, body)) = bytes.split_first_chunk::<2>() else {
        return Err(PublicAreaError::Truncated { field: "size" });
    };
    let declared = usize::from(u16::from_be_bytes(*head));
    if declared == body.len() {
        return Ok((body.to_vec(), ByteOrder::Wire));
    }
    // In a host's memory two bytes of padding follow the length, and the type is little-endian.
    if body.starts_with(&[0, 0, 1, 0]) || body.starts_with(&[0, 0, 0x23, 0]) {
        return host_area(bytes).map(|area| (area, ByteOrder::Host));
    }
    if usize::from(u16::from_le_bytes(*head)) == body.len() {
        return Err(PublicAreaError::HostOrder { why: "it is not the memory layout of TPM2B_PUBLIC" });
    }
    if *head == [0, 1] && body.starts_with(&[0]) {
        return Err(PublicAreaError::OtherForm { what: "TPMT_PUBLIC, without its length" });
    }
    if *head == [0x30, 0x82] {
        return Err(PublicAreaError::OtherForm { what: "DER, a certificate or a plain public key" });
    }
    Err(PublicAreaError::LengthMismatch { declared, found: body.len() })
}

/// Offsets of `TPM2B_PUBLIC` in a little-endian host's memory (tpm2-tss): fixed arrays, two bytes of padding before
/// each member that holds four-byte numbers.
mod host {
    pub const TYPE: usize = 4;
    pub const NAME_ALGORITHM: usize = 6;
    pub const ATTRIBUTES: usize = 8;
    pub const POLICY: usize = 12;
    pub const SYMMETRIC: usize = 80;
    pub const SCHEME: usize = 86;
    pub const BITS: usize = 92;
    pub const EXPONENT: usize = 96;
    pub const UNIQUE: usize = 100;
    /// Size of the array that holds a policy.
    pub const DIGEST: usize = 64;
    /// Size of the array that holds a modulus.
    pub const MODULUS: usize = 512;
}

fn host_area(bytes: &[u8]) -> Result<Vec<u8>, PublicAreaError> {
    let short = PublicAreaError::HostOrder { why: "it is too short for the memory layout of TPM2B_PUBLIC" };
    let u16_at = |at: usize| {
        bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_le_bytes(*bytes)).ok_or(short)
    };
    let u32_at = |at: usize| {
        bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes)).ok_or(short)
    };
    let sized_at = |at: usize, most: usize| {
        let length = usize::from(u16_at(at)?);
        bytes.get(at + 2..at + 2 + length).filter(|_| length <= most).ok_or(short)
    };
    if u16_at(host::TYPE)? == ALG_ECC {
        return Err(PublicAreaError::EccKey);
    }
    let mut area = Vec::with_capacity(host::DIGEST + host::MODULUS);
    for at in [host::TYPE, host::NAME_ALGORITHM] {
        area.extend(u16_at(at)?.to_be_bytes());
    }
    area.extend(u32_at(host::ATTRIBUTES)?.to_be_bytes());
    area.extend(sized(sized_at(host::POLICY, host::DIGEST)?));
    let symmetric = u16_at(host::SYMMETRIC)?;
    area.extend(symmetric.to_be_bytes());
    if symmetric != ALG_NULL {
        area.extend(u16_at(host::SYMMETRIC + 2)?.to_be_bytes());
        area.extend(u16_at(host::SYMMETRIC + 4)?.to_be_bytes());
    }
    let scheme = u16_at(host::SCHEME)?;
    area.extend(scheme.to_be_bytes());
    if scheme != ALG_NULL {
        area.extend(u16_at(host::SCHEME + 2)?.to_be_bytes());
    }
    area.extend(u16_at(host::BITS)?.to_be_bytes());
    area.extend(u32_at(host::EXPONENT)?.to_be_bytes());
    area.extend(sized(sized_at(host::UNIQUE, host::MODULUS)?));
    let declared = usize::from(u16_at(0)?);
    if declared != area.len() {
        return Err(PublicAreaError::HostOrder { why: "its length field does not fit its fields" });
    }
    Ok(area)
}

/// An object's name.
pub(super) fn name(algorithm: HashAlgorithm, area: &[u8]) -> Vec<u8> {
    let mut name = algorithm.id().to_be_bytes().to_vec();
    name.extend_from_slice(algorithm.digest(&[area]).as_ref());
    name
}

/// A `TPM2B`: the length in two bytes, then the bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    put_length(&mut out, bytes.len());
    out.extend_from_slice(bytes);
    out
}

/// A `TPM2B`'s length. Keys, digests and texts of this module are bounded far below 64 KiB.
pub(super) fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
}

/// Takes big-endian fields off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], PublicAreaError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(PublicAreaError::Truncated { field })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], PublicAreaError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(PublicAreaError::Truncated { field })?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, PublicAreaError> {
        self.array(field).map(u16::from_be_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, PublicAreaError> {
        self.array(field).map(u32::from_be_bytes)
    }

    fn sized(&mut self, field: &'static str) -> Result<&'a [u8], PublicAreaError> {
        let length = usize::from(self.u16(field)?);
        self.take(length, field)
    }
}
