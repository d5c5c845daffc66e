//! TPM keys of the devices, without TPMs: public areas whose modulus follows from a name. Owns their layout (SDKs'
//! templates); must not know who is enrolled with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_attestation::symmetric_key::derive_device_key;
use dps_model::registration::TpmKeys;

use crate::devices::master;

/// Bytes of a modulus of 2,048 bits.
pub const MODULUS: usize = 256;
/// `TPM2_PolicySecret(TPM_RH_ENDORSEMENT)`, which endorsement keys have.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
const ENDORSEMENT_ATTRIBUTES: u32 = 0x0003_00b2;
const STORAGE_ATTRIBUTES: u32 = 0x0003_0472;

/// The keys of the TPM of that name.
pub fn keys(name: &str) -> TpmKeys {
    let endorsement_key = area(ENDORSEMENT_ATTRIBUTES, &ENDORSEMENT_POLICY, &modulus(&format!("{name} EK")));
    let storage_root_key = area(STORAGE_ATTRIBUTES, &[], &modulus(&format!("{name} SRK")));
    TpmKeys {
        endorsement_key: STANDARD.encode(endorsement_key),
        storage_root_key: Some(STANDARD.encode(storage_root_key)),
    }
}

/// Large and odd: to encrypt to it, no more is needed, and real keys would take minutes to make.
pub fn modulus(name: &str) -> Vec<u8> {
    let digests = (0..MODULUS / 32).map(|part| derive_device_key(&master(), &format!("{name} {part}")));
    let mut modulus: Vec<u8> = digests.flat_map(|digest| digest.expose().to_vec()).collect();
    modulus[0] |= 0x80;
    modulus[MODULUS - 1] |= 1;
    modulus
}

/// `TPM2B_PUBLIC` of an RSA key with SHA-256, AES-128-CFB, no scheme and the usual exponent.
fn area(attributes: u32, policy: &[u8], modulus: &[u8]) -> Vec<u8> {
    let mut area = vec![0, 1, 0, 0x0b];
    area.extend(attributes.to_be_bytes());
    area.extend(sized(policy));
    for number in [6_u16, 128, 0x43, 0x10, 2048, 0, 0] {
        area.extend(number.to_be_bytes());
    }
    area.extend(sized(modulus));
    sized(&area)
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    // Nothing here is longer than a few hundred bytes.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use dps_attestation::tpm::{PublicArea, Template};

    use super::keys;

    #[test]
    fn keys_fit_the_templates_of_sdks() {
        let keys = keys("d");
        let read = |text: &str| PublicArea::read(text).map(|key| key.template());
        assert_eq!(read(&keys.endorsement_key), Ok(Template::EndorsementLowRange));
        assert_eq!(read(&keys.storage_root_key.unwrap()), Ok(Template::Storage));
    }
}
