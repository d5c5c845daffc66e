//! The signature of one certificate by another's key. Owns the list of accepted algorithms; must not know names,
//! times or paths.
//!
//! The algorithms are those of rustls-webpki over aws-lc-rs; RSA-PSS is matched by its parameters' meaning rather
//! than by their bytes, because encoders differ in them (RFC 4055 §3.1).

use dps_model::limits::{MAX_RSA_BITS, MIN_RSA_BITS};
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;
use x509_parser::der_parser::asn1_rs::{Any, Oid};
use x509_parser::prelude::FromDer as _;
use x509_parser::signature_algorithm::RsaSsaPssParams;

use super::der::{self, Parts, Spki};

/// Every accepted pair of signature algorithm and key type but RSA-PSS.
static ACCEPTED: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::ED25519,
];

const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const RSA: &str = "1.2.840.113549.1.1.1";
const MGF1: &str = "1.2.840.113549.1.1.8";

/// Names for the sentence of a refusal.
const NAMES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];

/// How a signature stands to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The key made it.
    Valid,
    /// It did not.
    Invalid,
    /// Not looked at: algorithm or key are not accepted. Says which.
    Refused(String),
}

/// Did the key make the certificate's signature?
pub(crate) fn check(certificate: &Parts<'_>, key: Spki<'_>) -> Checked {
    let Some((oid, parameters)) = algorithm(certificate.algorithm) else {
        return Checked::Refused("an algorithm that cannot be read".into());
    };
    if let Some(refused) = rsa_length(key) {
        return Checked::Refused(refused);
    }
    let found = if oid == RSA_PSS {
        match pss(parameters, key) {
            Ok(found) => found,
            Err(refused) => return Checked::Refused(refused),
        }
    } else {
        let same_signature = |candidate: &&&dyn SignatureVerificationAlgorithm| {
            candidate.signature_alg_id().as_ref() == certificate.algorithm
        };
        let known = ACCEPTED.iter().filter(same_signature);
        match known.clone().find(|candidate| candidate.public_key_alg_id().as_ref() == key.algorithm) {
            Some(found) => *found,
            // A known algorithm that this type of key cannot have made: another key made it.
            None if known.count() > 0 => return Checked::Invalid,
            None => return Checked::Refused(named(&oid)),
        }
    };
    match found.verify_signature(key.key, certificate.signed, certificate.signature) {
        Ok(()) => Checked::Valid,
        Err(_) => Checked::Invalid,
    }
}

fn named(oid: &str) -> String {
    NAMES
        .iter()
        .find(|(id, _)| *id == oid)
        .map_or_else(|| format!("the algorithm {oid}"), |(_, name)| (*name).into())
}

/// Takes the content of an `AlgorithmIdentifier` apart: its identifier, dotted, and its parameters.
fn algorithm(content: &[u8]) -> Option<(String, Option<&[u8]>)> {
    let (rest, oid) = Oid::from_der(content).ok()?;
    Some((oid.to_id_string(), (!rest.is_empty()).then_some(rest)))
}

/// Why an RSA key's length is not accepted.
fn rsa_length(key: Spki<'_>) -> Option<String> {
    let (oid, _) = algorithm(key.algorithm)?;
    if oid != RSA && oid != RSA_PSS {
        return None;
    }
    let bits = der::rsa_bits(key.key).unwrap_or(0);
    (!(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits)).then(|| format!("an RSA key of {bits} bits"))
}

/// The RSA-PSS algorithm of those parameters; both kinds of RSA key may sign with it.
fn pss(
    parameters: Option<&[u8]>,
    key: Spki<'_>,
) -> Result<&'static dyn SignatureVerificationAlgorithm, String> {
    let unreadable = || "RSA-PSS with parameters that cannot be read".to_owned();
    let (key_oid, key_parameters) = algorithm(key.algorithm).ok_or_else(unreadable)?;
    match key_oid.as_str() {
        RSA => {}
        // A key for RSA-PSS alone may fix the parameters (RFC 4055 §3.3).
        RSA_PSS if key_parameters.is_none() || key_parameters == parameters => {}
        RSA_PSS => return Err("RSA-PSS with other parameters than its key allows".into()),
        _ => return Err("RSA-PSS with a key that is none of RSA".into()),
    }
    let (_, any) = Any::from_der(parameters.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    let parameters = RsaSsaPssParams::try_from(&any).map_err(|_| unreadable())?;
    let hash = parameters.hash_algorithm_oid().to_id_string();
    let mask = parameters.mask_gen_algorithm().map_err(|_| unreadable())?;
    let (found, name, length): (&dyn SignatureVerificationAlgorithm, _, _) = match hash.as_str() {
        "2.16.840.1.101.3.4.2.1" => (algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, "SHA-256", 32),
        "2.16.840.1.101.3.4.2.2" => (algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY, "SHA-384", 48),
        "2.16.840.1.101.3.4.2.3" => (algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY, "SHA-512", 64),
        "1.3.14.3.2.26" => return Err("RSA-PSS with SHA-1".into()),
        other => return Err(format!("RSA-PSS with the digest {other}")),
    };
    if mask.mgf.to_id_string() != MGF1 || mask.hash.to_id_string() != hash {
        return Err(format!("RSA-PSS with {name} and another digest in its mask"));
    }
    if parameters.salt_length() != length || parameters.trailer_field() != 1 {
        return Err(format!(
            "RSA-PSS with {name} and a salt of {} bytes; {length} are accepted",
            parameters.salt_length()
        ));
    }
    Ok(found)
}
