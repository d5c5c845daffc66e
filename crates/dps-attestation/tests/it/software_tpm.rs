//! A TPM in software, written from the specification's side: it makes an endorsement key and a storage root key,
//! activates credentials, imports duplicates and signs. Shares no code with what it checks but the primitives.

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OaepAlgorithm, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::registration::TpmKeys;

pub const EK_POLICY: &str = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
pub const EK_ATTRIBUTES: u32 = 0x0003_00b2;
pub const SRK_ATTRIBUTES: u32 = 0x0003_0472;

/// The properties of a key.
#[derive(Clone)]
pub struct Properties {
    pub size: KeySize,
    pub name_algorithm: u16,
    pub attributes: u32,
    pub policy: Vec<u8>,
    pub symmetric_bits: u16,
}

impl Properties {
    pub fn endorsement() -> Self {
        Self {
            size: KeySize::Rsa2048,
            name_algorithm: 0x000b,
            attributes: EK_ATTRIBUTES,
            policy: hex::decode(EK_POLICY).unwrap(),
            symmetric_bits: 128,
        }
    }

    pub fn storage() -> Self {
        Self { attributes: SRK_ATTRIBUTES, policy: Vec::new(), ..Self::endorsement() }
    }

    fn bits(&self) -> u16 {
        match self.size {
            KeySize::Rsa2048 => 2048,
            KeySize::Rsa3072 => 3072,
            _ => 4096,
        }
    }

    /// `TPMT_PUBLIC`.
    pub fn area(&self, modulus: &[u8]) -> Vec<u8> {
        let mut area = vec![0, 1];
        area.extend(self.name_algorithm.to_be_bytes());
        area.extend(self.attributes.to_be_bytes());
        area.extend(sized(&self.policy));
        for number in [6, self.symmetric_bits, 0x43, 0x10, self.bits(), 0, 0] {
            area.extend(number.to_be_bytes());
        }
        area.extend(sized(modulus));
        area
    }

    /// `TPM2B_PUBLIC` in a little-endian host's memory.
    pub fn host_memory(&self, modulus: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 616];
        let mut put = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &u16::try_from(self.area(modulus).len()).unwrap().to_le_bytes());
        put(4, &[1, 0]);
        put(6, &self.name_algorithm.to_le_bytes());
        put(8, &self.attributes.to_le_bytes());
        put(12, &u16::try_from(self.policy.len()).unwrap().to_le_bytes());
        put(14, &self.policy);
        put(80, &[6, 0]);
        put(82, &self.symmetric_bits.to_le_bytes());
        put(84, &[0x43, 0, 0x10, 0]);
        put(92, &self.bits().to_le_bytes());
        put(100, &u16::try_from(modulus.len()).unwrap().to_le_bytes());
        put(102, modulus);
        memory
    }
}

pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A key that never leaves.
pub struct Key {
    pub properties: Properties,
    pub modulus: Vec<u8>,
    private: OaepPrivateDecryptingKey,
}

impl Key {
    pub fn create(properties: Properties) -> Self {
        let private = PrivateDecryptingKey::generate(properties.size).unwrap();
        let spki = private.public_key().as_der().unwrap();
        let length = usize::from(properties.bits()) / 8;
        // A subject public key info ends with the modulus and five bytes of exponent.
        let end = spki.as_ref().len() - 5;
        let modulus = spki.as_ref()[end - length..end].to_vec();
        Self { properties, modulus, private: OaepPrivateDecryptingKey::new(private).unwrap() }
    }

    pub fn area(&self) -> Vec<u8> {
        self.properties.area(&self.modulus)
    }

    pub fn public(&self) -> Vec<u8> {
        sized(&self.area())
    }

    pub fn name(&self) -> Vec<u8> {
        let hash = self.hash();
        [&self.properties.name_algorithm.to_be_bytes()[..], digest::digest(hash.0, &self.area()).as_ref()]
            .concat()
    }

    fn hash(&self) -> (&'static digest::Algorithm, hmac::Algorithm, &'static OaepAlgorithm) {
        match self.properties.name_algorithm {
            0x000b => (&digest::SHA256, hmac::HMAC_SHA256, &OAEP_SHA256_MGF1SHA256),
            _ => (&digest::SHA384, hmac::HMAC_SHA384, &OAEP_SHA384_MGF1SHA384),
        }
    }

    fn seed(&self, label: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; self.private.min_output_size()];
        let seed = self.private.decrypt(self.hash().2, secret, &mut out, Some(label)).ok()?;
        Some(seed.to_vec())
    }

    /// Undoes what a seed protects, or says that it is not whole.
    fn unprotect(&self, seed: &[u8], name: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let (hash, mac, _) = self.hash();
        let (integrity, encrypted) = take_sized(bytes)?;
        let key = kdfa(mac, seed, "INTEGRITY", &[], hash.output_len * 8);
        hmac::verify(&hmac::Key::new(mac, &key), &[encrypted, name].concat(), integrity).ok()?;
        let key = kdfa(mac, seed, "STORAGE", name, usize::from(self.properties.symmetric_bits));
        Some(cfb(&key, encrypted))
    }
}

/// `KDFa` for at most one block.
fn kdfa(mac: hmac::Algorithm, key: &[u8], label: &str, context: &[u8], bits: usize) -> Vec<u8> {
    let mut input = vec![0, 0, 0, 1];
    input.extend(label.as_bytes());
    input.push(0);
    input.extend(context);
    input.extend(u32::try_from(bits).unwrap().to_be_bytes());
    hmac::sign(&hmac::Key::new(mac, key), &input).as_ref()[..bits / 8].to_vec()
}

fn cfb(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = DecryptingKey::cfb128(UnboundCipherKey::new(algorithm, key).unwrap()).unwrap();
    let mut bytes = bytes.to_vec();
    key.decrypt(&mut bytes, DecryptionContext::Iv128(FixedLength::from([0; 16]))).unwrap();
    bytes
}

pub fn take_sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The six parts of an activation blob, without their lengths.
pub fn parts(mut blob: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while !blob.is_empty() {
        let (part, rest) = take_sized(blob).unwrap();
        parts.push(part);
        blob = rest;
    }
    assert_eq!(parts.len(), 6);
    parts
}

/// A TPM.
pub struct SoftwareTpm {
    pub endorsement: Key,
    pub storage: Key,
}

impl SoftwareTpm {
    pub fn new() -> Self {
        Self::with(Properties::endorsement(), Properties::storage())
    }

    pub fn with(endorsement: Properties, storage: Properties) -> Self {
        Self { endorsement: Key::create(endorsement), storage: Key::create(storage) }
    }

    /// What a register body says of it.
    pub fn keys(&self) -> TpmKeys {
        TpmKeys {
            endorsement_key: STANDARD.encode(self.endorsement.public()),
            storage_root_key: Some(STANDARD.encode(self.storage.public())),
        }
    }

    /// Activates the blob; the HMAC key and the text beside it, or nothing if any check of the TPM fails.
    pub fn activate(&self, blob: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let [identity, identity_secret, duplicate, duplicate_secret, area, uri] =
            parts(blob).try_into().unwrap();
        // TPM2_ActivateCredential: the credential names the storage root key.
        let seed = self.endorsement.seed(b"IDENTITY\0", identity_secret)?;
        let credential = self.endorsement.unprotect(&seed, &self.storage.name(), identity)?;
        let (inner_key, []) = take_sized(&credential)? else { return None };
        // TPM2_Import: outer wrap, inner wrap, then the object itself.
        let name = [&[0, 0x0b][..], digest::digest(&digest::SHA256, area).as_ref()].concat();
        let seed = self.storage.seed(b"DUPLICATE\0", duplicate_secret)?;
        let inner = cfb(inner_key, &self.storage.unprotect(&seed, &name, duplicate)?);
        let (integrity, sensitive) = take_sized(&inner)?;
        let expected = digest::digest(&digest::SHA256, &[sensitive, &name].concat());
        (integrity == expected.as_ref()).then_some(())?;
        let (fields, []) = take_sized(sensitive)? else { return None };
        let (kind, rest) = fields.split_first_chunk::<2>()?;
        let (auth, rest) = take_sized(rest)?;
        let (obfuscation, rest) = take_sized(rest)?;
        let (key, rest) = take_sized(rest)?;
        (*kind == [0, 8] && auth.is_empty() && rest.is_empty()).then_some(())?;
        // TPM2_Load: the public part is that of an HMAC key, and binds the private one.
        let (head, unique) = area.split_at_checked(area.len().checked_sub(34)?)?;
        let unique = take_sized(unique)?.0;
        (hex::encode(head) == "0008000b0004044000000005000b").then_some(())?;
        let bound = digest::digest(&digest::SHA256, &[obfuscation, key].concat());
        (unique == bound.as_ref()).then_some((key.to_vec(), cfb(inner_key, uri)))
    }
}
