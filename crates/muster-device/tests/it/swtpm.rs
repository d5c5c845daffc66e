//! The TPM client against a TPM that is not ours: keys as tpm2-tools make them, blobs as the service wraps them.

use aws_lc_rs::hmac;
use dps_attestation::tpm::{ActivationBlob, PublicArea, Template, system_random};
use muster_device::{Secret, SecurityProviderTpm, Tpm2, TpmKeyMissing};

use crate::swtpm_process::Swtpm;

fn tpm2(swtpm: &Swtpm) -> Tpm2 {
    Tpm2::new(swtpm.tcti().parse().unwrap())
}

/// A blob with that key for that TPM, as the service makes it.
fn wrap(tpm: &Tpm2, key: &Secret) -> Vec<u8> {
    let area = |public: Vec<u8>| PublicArea::parse(&public).unwrap();
    let (endorsement, storage) =
        (area(tpm.endorsement_key().unwrap()), area(tpm.storage_root_key().unwrap()));
    let blob = ActivationBlob::wrap(&endorsement, &storage, key, "uri", &mut system_random).unwrap();
    blob.as_bytes().to_vec()
}

fn key(byte: u8) -> Secret {
    Secret::new(vec![byte; 32])
}

fn hmac_of(key: &Secret, data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), data).as_ref().to_vec()
}

#[test]
fn new_tpm_gets_the_standard_keys_and_keeps_them() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let tpm = tpm2(&swtpm);
    let (endorsement, storage) = (tpm.endorsement_key().unwrap(), tpm.storage_root_key().unwrap());
    assert_eq!(PublicArea::parse(&endorsement).unwrap().template(), Template::EndorsementLowRange);
    assert_eq!((endorsement.len(), storage.len()), (316, 284));

    let read = |swtpm: &Swtpm, handle: &str| {
        swtpm.tool("tpm2_readpublic", &["-c", handle, "-f", "tss", "-o", "public"]);
        swtpm.file("public")
    };
    assert_eq!(read(&swtpm, "0x81010001"), endorsement, "kept where the SDKs look for it");
    assert_eq!(read(&swtpm, "0x81000001"), storage);
    // The standard template gives the same key to whoever uses it.
    swtpm.tool("tpm2_createek", &["-c", "ek.ctx", "-G", "rsa", "-u", "ek.public", "-f", "tss"]);
    assert_eq!(swtpm.file("ek.public"), endorsement);

    swtpm.restart();
    let tpm = tpm2(&swtpm);
    assert_eq!(tpm.endorsement_key().unwrap(), endorsement);
    assert_eq!(tpm.storage_root_key().unwrap(), storage);
}

#[test]
fn hub_key_signs_after_a_restart_until_another_takes_its_place() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let tpm = tpm2(&swtpm);
    let missing = tpm.sign(b"text").unwrap_err();
    assert!(missing.is::<TpmKeyMissing>(), "{missing}");
    tpm.activate_identity_key(&wrap(&tpm, &key(1))).unwrap();
    assert_eq!(tpm.sign(b"text").unwrap(), hmac_of(&key(1), b"text"));
    swtpm.restart();
    let tpm = tpm2(&swtpm);
    assert_eq!(tpm.sign(b"text").unwrap(), hmac_of(&key(1), b"text"));
    tpm.activate_identity_key(&wrap(&tpm, &key(2))).unwrap();
    assert_eq!(tpm.sign(b"text").unwrap(), hmac_of(&key(2), b"text"));
}

#[test]
fn answered_challenges_leave_the_hub_key_and_no_slot_taken() {
    let Some(swtpm) = Swtpm::start() else { return };
    let tpm = tpm2(&swtpm);
    tpm.activate_identity_key(&wrap(&tpm, &key(1))).unwrap();
    // More than a TPM has slots, for objects and for sessions.
    for byte in 10..20 {
        let signed = tpm.answer_challenge(&wrap(&tpm, &key(byte)), b"token").unwrap();
        assert_eq!(signed, hmac_of(&key(byte), b"token"));
        let error = tpm.answer_challenge(&damaged(wrap(&tpm, &key(byte))), b"token").unwrap_err().to_string();
        assert!(error.contains("TPM_RC_INTEGRITY") && error.contains("another TPM"), "{error}");
    }
    assert_eq!(tpm.sign(b"text").unwrap(), hmac_of(&key(1), b"text"));
    assert!(swtpm.tool("tpm2_getcap", &["handles-transient"]).is_empty());
    assert!(swtpm.tool("tpm2_getcap", &["handles-loaded-session"]).is_empty());
}

/// With a bit of the credential turned.
fn damaged(mut blob: Vec<u8>) -> Vec<u8> {
    blob[50] ^= 1;
    blob
}

#[test]
fn blob_that_is_none_is_refused_whole() {
    let Some(swtpm) = Swtpm::start() else { return };
    let tpm = tpm2(&swtpm);
    let blob = wrap(&tpm, &key(1));
    for length in [0, 1, 53, 54, 300, 455, 712, 763] {
        let error = tpm.activate_identity_key(&blob[..length]).unwrap_err().to_string();
        assert_eq!(error, "what the service sent is no activation blob", "{length}");
    }
    // A part longer than a TPM takes.
    let long = [&[0xff, 0xff][..], &vec![0; 0xffff], &blob[54..]].concat();
    let error = tpm.activate_identity_key(&long).unwrap_err().to_string();
    assert!(error.contains("longer than a TPM takes"), "{error}");
    tpm.activate_identity_key(&blob).unwrap();
}

#[test]
fn storage_root_key_of_the_system_is_left_where_it_is() {
    let Some(swtpm) = Swtpm::start() else { return };
    swtpm.tool("tpm2_startup", &["-c"]);
    // As systemd makes it.
    swtpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", "srk.ctx"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "srk.ctx", "0x81000001"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let before = swtpm.tool("tpm2_readpublic", &["-c", "0x81000001"]);
    let tpm = tpm2(&swtpm);
    assert_eq!(tpm.storage_root_key().unwrap(), tpm.storage_root_key().unwrap());
    tpm.activate_identity_key(&wrap(&tpm, &key(3))).unwrap();
    assert_eq!(tpm.sign(b"text").unwrap(), hmac_of(&key(3), b"text"));
    assert_eq!(swtpm.tool("tpm2_readpublic", &["-c", "0x81000001"]), before);
    assert!(swtpm.tool("tpm2_getcap", &["handles-transient"]).is_empty());
}

#[test]
fn key_of_another_program_in_the_hub_key_place_is_not_removed() {
    let Some(swtpm) = Swtpm::start() else { return };
    let tpm = tpm2(&swtpm);
    let blob = wrap(&tpm, &key(1));
    swtpm.tool("tpm2_createprimary", &["-C", "o", "-c", "other.ctx"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "other.ctx", "0x81000100"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let error = tpm.activate_identity_key(&blob).unwrap_err().to_string();
    assert!(error.contains("0x81000100") && error.contains("another program's"), "{error}");
    swtpm.tool("tpm2_readpublic", &["-c", "0x81000100"]);
}

#[test]
fn endorsement_key_of_another_template_is_told() {
    let Some(swtpm) = Swtpm::start() else { return };
    swtpm.tool("tpm2_startup", &["-c"]);
    swtpm.tool("tpm2_createprimary", &["-C", "e", "-c", "other.ctx"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "other.ctx", "0x81010001"]);
    let error = tpm2(&swtpm).endorsement_key().unwrap_err().to_string();
    assert_eq!(
        error,
        "the key at 0x81010001 is no endorsement key that can be used here: it has a storage key template"
    );
}

#[test]
fn owner_password_costs_speed_for_keys_and_is_told_where_one_must_be_kept() {
    let Some(swtpm) = Swtpm::start() else { return };
    swtpm.tool("tpm2_startup", &["-c"]);
    swtpm.tool("tpm2_changeauth", &["-c", "owner", "secret"]);
    let tpm = tpm2(&swtpm);
    let endorsement = tpm.endorsement_key().unwrap();
    assert_eq!(tpm.endorsement_key().unwrap(), endorsement, "made anew, the same");
    assert!(swtpm.tool("tpm2_getcap", &["handles-persistent"]).is_empty());
    assert!(swtpm.tool("tpm2_getcap", &["handles-transient"]).is_empty());
    let error = tpm.storage_root_key().unwrap_err().to_string();
    assert!(error.contains("TPM_RC_BAD_AUTH") && error.contains("has a password"), "{error}");
}
