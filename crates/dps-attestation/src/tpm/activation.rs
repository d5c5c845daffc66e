//! The activation blob: an HMAC key that only the TPM with this endorsement key can take in (facts: wire-protocol.md
//! §5.1–5.2; TPM 2.0 Part 1 §23.3 duplication, §24 credentials). Owns the wrapping, done in software. Must not know
//! what the key is for, who asked, or how long it lives.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_model::Secret;
use dps_model::limits::MAX_TPM_URI;

use super::hash::HashAlgorithm;
use super::public_area::{PublicArea, name, put_length, sized};

/// Label of the seed that protects the inner key; the zero byte is part of it.
const IDENTITY: &[u8] = b"IDENTITY\0";
/// Label of the seed that protects the HMAC key; the zero byte is part of it.
const DUPLICATE: &[u8] = b"DUPLICATE\0";
/// Bits of the inner key; SDKs tell the TPM eight times what they unwrap.
const INNER_KEY: usize = 16;
/// The HMAC key object's name algorithm, and the HMAC's.
const OBJECT_HASH: HashAlgorithm = HashAlgorithm::Sha256;
/// A block of SHA-256: an HMAC key is no longer.
const HMAC_BLOCK: usize = 64;

/// Where randomness comes from: the system, or a test.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), Unspecified> + 'a;

/// The system's randomness.
pub fn system_random(bytes: &mut [u8]) -> Result<(), Unspecified> {
    rand::fill(bytes)
}

/// Why nothing was wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActivationError {
    /// The endorsement key or the storage root key cannot encrypt.
    #[error("nothing can be encrypted to the {0}'s modulus")]
    KeyRefused(super::TpmKey),
    /// Empty, or longer than a block.
    #[error("an HMAC key of {0} bytes cannot be wrapped")]
    KeyLength(usize),
    /// The system gave no randomness, or a cipher failed.
    #[error("the system has no randomness to give")]
    Randomness,
}

impl From<Unspecified> for ActivationError {
    fn from(_: Unspecified) -> Self {
        Self::Randomness
    }
}

/// Six structures, one after the other, big-endian: what a device's TPM unwraps to an HMAC key.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationBlob(Vec<u8>);

impl std::fmt::Debug for ActivationBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ActivationBlob({} bytes)", self.0.len())
    }
}

impl ActivationBlob {
    /// Wraps `key` (at most 64 bytes) so that the TPM which holds both keys can use it and nobody can read it. `uri`
    /// rides along, encrypted, cut at 1,024 bytes; some SDKs decrypt it and none uses it.
    pub fn wrap(
        endorsement_key: &PublicArea,
        storage_root_key: &PublicArea,
        key: &Secret,
        uri: &str,
        random: &mut Random<'_>,
    ) -> Result<Self, ActivationError> {
        let mut bytes = |length: usize| {
            let mut bytes = vec![0; length];
            random(&mut bytes).map(|()| Secret::new(bytes))
        };
        let seeds = Seeds {
            inner_key: bytes(INNER_KEY)?,
            identity: bytes(endorsement_key.name_algorithm().length())?,
            duplicate: bytes(storage_root_key.name_algorithm().length())?,
            obfuscation: bytes(OBJECT_HASH.length())?,
        };
        seeds.wrap(endorsement_key, storage_root_key, key, uri)
    }

    /// The bytes, for a protocol that carries bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Base64, for a protocol that carries text.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

/// The randomness of one blob.
struct Seeds {
    inner_key: Secret,
    identity: Secret,
    duplicate: Secret,
    obfuscation: Secret,
}

impl Seeds {
    fn wrap(
        &self,
        endorsement_key: &PublicArea,
        storage_root_key: &PublicArea,
        key: &Secret,
        uri: &str,
    ) -> Result<ActivationBlob, ActivationError> {
        if !(1..=HMAC_BLOCK).contains(&key.expose().len()) {
            return Err(ActivationError::KeyLength(key.expose().len()));
        }
        let parent = Protection::of(endorsement_key, &self.identity);
        let identity = parent.credential(&storage_root_key.name(), &self.inner_key)?;
        let area = object_area(&self.obfuscation, key);
        let object_name = name(OBJECT_HASH, &area);
        let inner = inner_wrap(&self.inner_key, &sensitive(&self.obfuscation, key), &object_name)?;
        let duplicate = Protection::of(storage_root_key, &self.duplicate).wrap(&object_name, inner)?;
        let mut uri = uri.as_bytes().get(..uri.len().min(MAX_TPM_URI)).unwrap_or_default().to_vec();
        cfb(self.inner_key.expose(), &mut uri)?;
        let refused = |key| move |_| ActivationError::KeyRefused(key);
        let parts = [
            identity,
            encrypt(endorsement_key, IDENTITY, &self.identity)
                .map_err(refused(super::TpmKey::Endorsement))?,
            duplicate,
            encrypt(storage_root_key, DUPLICATE, &self.duplicate)
                .map_err(refused(super::TpmKey::StorageRoot))?,
            area,
            uri,
        ];
        let mut blob = Vec::with_capacity(parts.iter().map(|part| part.len() + 2).sum());
        for part in &parts {
            put_length(&mut blob, part.len());
            blob.extend_from_slice(part);
        }
        Ok(ActivationBlob(blob))
    }
}

/// What a seed protects under a storage key: encrypted by the key's cipher, authenticated by its hash.
struct Protection<'a> {
    hash: HashAlgorithm,
    symmetric_bits: u16,
    seed: &'a Secret,
}

impl<'a> Protection<'a> {
    fn of(key: &PublicArea, seed: &'a Secret) -> Self {
        Self { hash: key.name_algorithm(), symmetric_bits: key.symmetric_bits(), seed }
    }

    /// `TPMS_ID_OBJECT` of an inner key, bound to the name of the key beside which it is activated.
    fn credential(&self, name: &[u8], inner_key: &Secret) -> Result<Vec<u8>, Unspecified> {
        self.wrap(name, sized(inner_key.expose()))
    }

    /// The HMAC over what was encrypted and the name, then what was encrypted.
    fn wrap(&self, name: &[u8], mut content: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        cfb(self.symmetric_key(name).expose(), &mut content)?;
        let mut out = sized(self.integrity(name, &content).as_ref());
        out.append(&mut content);
        Ok(out)
    }

    fn symmetric_key(&self, name: &[u8]) -> Secret {
        kdfa(self.hash, self.seed, b"STORAGE", name, self.symmetric_bits)
    }

    fn integrity(&self, name: &[u8], encrypted: &[u8]) -> aws_lc_rs::hmac::Tag {
        // A digest has at most 512 bits.
        let bits = u16::try_from(self.hash.length() * 8).unwrap_or(u16::MAX);
        let key = kdfa(self.hash, self.seed, b"INTEGRITY", &[], bits);
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.hash.hmac_key(key.expose()));
        context.update(encrypted);
        context.update(name);
        context.sign()
    }
}

/// `KDFa` (Part 1 §11.4.10.2) with an empty second context: so many bits, in whole bytes.
fn kdfa(hash: HashAlgorithm, key: &Secret, label: &[u8], context: &[u8], bits: u16) -> Secret {
    let key = hash.hmac_key(key.expose());
    let length = usize::from(bits / 8);
    let mut out = Vec::with_capacity(length + hash.length());
    let mut counter: u32 = 0;
    while out.len() < length {
        counter += 1;
        let mut block = aws_lc_rs::hmac::Context::with_key(&key);
        block.update(&counter.to_be_bytes());
        block.update(label);
        block.update(&[0]);
        block.update(context);
        block.update(&u32::from(bits).to_be_bytes());
        out.extend_from_slice(block.sign().as_ref());
    }
    out.truncate(length);
    Secret::new(out)
}

/// AES in CFB mode with 128 bits of feedback and a zero vector: each key is used once.
fn cfb(key: &[u8], content: &mut [u8]) -> Result<(), Unspecified> {
    let algorithm = if key.len() == INNER_KEY { &AES_128 } else { &AES_256 };
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(algorithm, key)?)?;
    key.less_safe_encrypt(content, EncryptionContext::Iv128(FixedLength::from([0; 16])))?;
    Ok(())
}

/// RSA-OAEP to a key, by the hash of its name.
fn encrypt(key: &PublicArea, label: &[u8], seed: &Secret) -> Result<Vec<u8>, Unspecified> {
    let components = PublicKeyComponents { n: key.modulus(), e: &[1, 0, 1][..] };
    let public: PublicEncryptingKey = components.try_into()?;
    let public = OaepPublicEncryptingKey::new(public)?;
    let mut out = vec![0; public.ciphertext_size()];
    let written = public.encrypt(key.name_algorithm().oaep(), seed.expose(), &mut out, Some(label))?.len();
    out.truncate(written);
    Ok(out)
}

/// `TPMT_PUBLIC` of the HMAC key: `KEYEDHASH`, `userWithAuth | noDA | sign`, no policy, HMAC with SHA-256. It is
/// neither `fixedTPM` nor `fixedParent`, since it is imported.
fn object_area(obfuscation: &Secret, key: &Secret) -> Vec<u8> {
    let unique = OBJECT_HASH.digest(&[obfuscation.expose(), key.expose()]);
    let mut area = vec![0, 8, 0, 0x0b, 0, 4, 4, 0x40, 0, 0, 0, 5, 0, 0x0b];
    area.extend_from_slice(&sized(unique.as_ref()));
    area
}

/// `TPM2B_SENSITIVE` of the HMAC key, without an authorisation value.
fn sensitive(obfuscation: &Secret, key: &Secret) -> Secret {
    let fields = [&[][..], obfuscation.expose(), key.expose()];
    let length = 2 + fields.iter().map(|field| field.len() + 2).sum::<usize>();
    // Of the right size from the start: a vector that grows leaves copies behind.
    let mut out = Vec::with_capacity(length + 2);
    put_length(&mut out, length);
    out.extend_from_slice(&[0, 8]);
    for field in fields {
        put_length(&mut out, field.len());
        out.extend_from_slice(field);
    }
    Secret::new(out)
}

/// The inner layer of the duplicate: a digest that binds the sensitive part to the object's name, and the sensitive
/// part, encrypted with the inner key.
fn inner_wrap(inner_key: &Secret, sensitive: &Secret, name: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let integrity = OBJECT_HASH.digest(&[sensitive.expose(), name]);
    let mut content = sized(integrity.as_ref());
    content.extend_from_slice(sensitive.expose());
    cfb(inner_key.expose(), &mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    //! Every value of the known-answer vector of the wire facts (§5.2).

    use super::*;

    fn bytes(range: std::ops::Range<u8>) -> Secret {
        Secret::new(range.collect())
    }

    fn parent(seed: &Secret) -> Protection<'_> {
        Protection { hash: HashAlgorithm::Sha256, symmetric_bits: 128, seed }
    }

    fn sha256(bytes: &[u8]) -> String {
        hex::encode(HashAlgorithm::Sha256.digest(&[bytes]))
    }

    #[test]
    fn credential_fixed_seed_gives_the_known_answer() {
        let seed = bytes(0..32);
        let srk_name = [&[0, 0x0b][..], &[0xaa; 32]].concat();
        let parent = parent(&seed);
        assert_eq!(hex::encode(parent.symmetric_key(&srk_name).expose()), "0415b32b6f43896a87e7b29be8f2ac14");
        let hmac_key = kdfa(HashAlgorithm::Sha256, &seed, b"INTEGRITY", &[], 256);
        assert_eq!(
            hex::encode(hmac_key.expose()),
            "bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e"
        );
        let identity = parent.credential(&srk_name, &bytes(0..16)).unwrap();
        assert_eq!(
            hex::encode(&identity),
            "0020b6a8b530f23e4a64b9b2919170065137d6feab4a9b8d33fd80f4e6dc3c296876\
             1e7a2af23c7f4558468b38341fd19e3b684f"
        );
        assert_eq!(sized(&identity).len(), 54);
    }

    #[test]
    fn duplicate_fixed_seeds_give_the_known_answer() {
        let (seed, inner_key, key, obfuscation) =
            (bytes(0..32), bytes(0..16), bytes(0..32), Secret::new(vec![0x11; 32]));
        let area = object_area(&obfuscation, &key);
        assert_eq!(area.len(), 48);
        assert_eq!(
            hex::encode(&area),
            "0008000b0004044000000005000b0020f2bcfd2c83b9a380a637ada6a67ca257e8e3a337060fd82357b01d2ef161bd91"
        );
        let name = name(OBJECT_HASH, &area);
        assert_eq!(
            hex::encode(&name),
            "000b7a0e4865d8902b248253185eccfa1ea7bcf5a3de48962ada1ac9156088fa581e"
        );
        let sensitive = sensitive(&obfuscation, &key);
        assert_eq!(sensitive.expose().len(), 74);
        assert_eq!(
            sha256(&[sensitive.expose(), &name].concat()),
            "708dd9ac5565938a5f2bc4a9b99a1fe7447e0dc2aa333db80be6fc74fd35f682"
        );
        let inner = inner_wrap(&inner_key, &sensitive, &name).unwrap();
        assert_eq!(inner.len(), 108);
        assert_eq!(sha256(&inner), "bd8387faec0b52aad9d412f54b1a7005d71d27439310eed61fd78c9708d5748d");
        let duplicate = parent(&seed).wrap(&name, inner).unwrap();
        assert_eq!(
            hex::encode(&duplicate[..34]),
            "0020f0d7e964ab648dcd059959b7ee18a59ff764ef2c5f705d39e6bd2b9113d626f2"
        );
        assert_eq!(
            sha256(&duplicate[34..]),
            "5a80e75d3b885d32922480029474d4d07f4c86c9fd3d0a6df136ed7c6a9aad67"
        );
        let part = sized(&duplicate);
        assert_eq!(part.len(), 144);
        assert_eq!(sha256(&part), "a3d78a4fb6c6883ecf9805b8f97753547640c47622810812c310faf718b71bb5");
    }

    #[test]
    fn kdfa_more_bits_than_a_digest_takes_further_blocks() {
        let key = bytes(0..32);
        let long = kdfa(HashAlgorithm::Sha256, &key, b"STORAGE", &[1], 384);
        assert_eq!(long.expose().len(), 48);
        // The number of bits is part of what is hashed, so a shorter output is no prefix.
        assert_ne!(&long.expose()[..16], kdfa(HashAlgorithm::Sha256, &key, b"STORAGE", &[1], 128).expose());
    }
}
