//! Options that say how devices prove who they are, and what they change in an enrollment's JSON. Must not know what
//! makes a key or a certificate good: the service judges.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::fleet::api::Failure;
use crate::fleet::value;

/// Keys and certificates, which both kinds of enrollment have.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Attestation")]
pub struct ProofOptions {
    /// Symmetric key in base64, or @FILE that holds it [default: the service makes one]
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    pub primary_key: Option<String>,
    /// Second symmetric key, likewise
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    pub secondary_key: Option<String>,
    /// File with the certificate, PEM or DER
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    pub certificate_path: Option<PathBuf>,
    /// File with the certificate to roll to
    #[arg(long, visible_alias = "scp", value_name = "FILE")]
    pub secondary_certificate_path: Option<PathBuf>,
}

/// What an update takes away.
#[derive(clap::Args, Clone, Copy, Default)]
#[command(next_help_heading = "Attestation")]
pub struct RemovalOptions {
    /// Take the primary certificate away; the secondary one takes its place
    #[arg(long, visible_alias = "rc", conflicts_with = "certificate_path")]
    pub remove_certificate: bool,
    /// Take the secondary certificate away
    #[arg(long, visible_alias = "rsc", conflicts_with = "secondary_certificate_path")]
    pub remove_secondary_certificate: bool,
}

/// A TPM's keys.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Attestation")]
pub struct TpmOptions {
    /// Endorsement key of the device's TPM, in base64, or @FILE that holds it
    #[arg(long, visible_alias = "ek", value_name = "KEY")]
    pub endorsement_key: Option<String>,
    /// Storage root key of the device's TPM, likewise
    #[arg(long, visible_alias = "srk", value_name = "KEY")]
    pub storage_root_key: Option<String>,
}

/// CA certificates that the control plane holds.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Attestation")]
pub struct CaOptions {
    /// Name of an uploaded CA certificate
    #[arg(long, visible_aliases = ["ca-name", "cn"], value_name = "NAME", conflicts_with = "certificate_path")]
    pub root_ca_name: Option<String>,
    /// Name of the uploaded CA certificate to roll to
    #[arg(long, visible_aliases = ["secondary-ca-name", "scn"], value_name = "NAME",
        conflicts_with = "secondary_certificate_path")]
    pub secondary_root_ca_name: Option<String>,
}

impl ProofOptions {
    fn has_keys(&self) -> bool {
        self.primary_key.is_some() || self.secondary_key.is_some()
    }

    fn has_certificates(&self) -> bool {
        self.certificate_path.is_some() || self.secondary_certificate_path.is_some()
    }

    /// Puts the keys into the attestation.
    fn apply_keys(&self, attestation: &mut Value) -> Result<(), Failure> {
        for (name, key) in [("primaryKey", &self.primary_key), ("secondaryKey", &self.secondary_key)] {
            if let Some(key) = key {
                attestation["symmetricKey"][name] = value::secret(key)?.into();
            }
        }
        Ok(())
    }

    /// Puts the certificates into that member of `x509`.
    fn apply_certificates(&self, attestation: &mut Value, member: &str) -> Result<(), Failure> {
        let paths = [("primary", &self.certificate_path), ("secondary", &self.secondary_certificate_path)];
        for (slot, path) in paths {
            if let Some(path) = path {
                attestation["x509"][member][slot] = json!({ "certificate": certificate(path)? });
            }
        }
        Ok(())
    }
}

/// The attestation of a new individual enrollment.
pub fn individual(kind: &str, proof: &ProofOptions, tpm: &TpmOptions) -> Result<Value, Failure> {
    let has_tpm = tpm.endorsement_key.is_some() || tpm.storage_root_key.is_some();
    for (other, present) in
        [("symmetricKey", proof.has_keys()), ("x509", proof.has_certificates()), ("tpm", has_tpm)]
    {
        if present && other != kind {
            return Err(Failure::Usage(format!(
                "an option of {other} stands beside --attestation-type {kind}"
            )));
        }
    }
    let mut attestation = json!({ "type": kind });
    match kind {
        "x509" if proof.certificate_path.is_none() => {
            return Err(Failure::Usage("x509 needs --certificate-path".to_owned()));
        }
        "tpm" if tpm.endorsement_key.is_none() => {
            return Err(Failure::Usage(
                "tpm needs --endorsement-key; `muster device tpm` prints it".to_owned(),
            ));
        }
        _ => {}
    }
    proof.apply_keys(&mut attestation)?;
    proof.apply_certificates(&mut attestation, "clientCertificates")?;
    apply_tpm(tpm, &mut attestation)?;
    Ok(attestation)
}

/// The attestation of a new group: what its options name.
pub fn group(proof: &ProofOptions, ca: &CaOptions) -> Result<Value, Failure> {
    let has_ca = ca.root_ca_name.is_some() || ca.secondary_root_ca_name.is_some();
    let kind = if proof.has_certificates() || has_ca { "x509" } else { "symmetricKey" };
    if kind == "x509" && proof.has_keys() {
        return Err(Failure::Usage("a group has keys or certificates, not both".to_owned()));
    }
    if kind == "x509" && proof.certificate_path.is_none() && ca.root_ca_name.is_none() {
        return Err(Failure::Usage("a secondary certificate needs a primary one".to_owned()));
    }
    let mut attestation = json!({ "type": kind });
    proof.apply_keys(&mut attestation)?;
    proof.apply_certificates(&mut attestation, "signingCertificates")?;
    apply_ca(ca, &mut attestation);
    Ok(attestation)
}

/// What an update says.
pub struct Change<'a> {
    pub proof: &'a ProofOptions,
    pub removal: RemovalOptions,
    pub tpm: Option<&'a TpmOptions>,
    pub ca: Option<&'a CaOptions>,
}

impl Change<'_> {
    /// Puts what was said into the enrollment's attestation, and leaves the rest.
    pub fn apply(&self, item: &mut Map<String, Value>) -> Result<(), Failure> {
        let member = if self.tpm.is_some() { "clientCertificates" } else { "signingCertificates" };
        let Some(attestation) = item.get_mut("attestation") else { return Ok(()) };
        let kind = attestation["type"].as_str().unwrap_or_default().to_owned();
        let is = |wanted: &str| {
            let other =
                format!("the enrollment's attestation is {kind}; for {wanted}, delete it and create it anew");
            if kind == wanted { Ok(()) } else { Err(Failure::Usage(other)) }
        };
        if self.proof.has_keys() {
            is("symmetricKey")?;
            self.proof.apply_keys(attestation)?;
        }
        if self.removal.remove_certificate || self.removal.remove_secondary_certificate {
            is("x509")?;
            self.remove(attestation, member)?;
        }
        if self.proof.has_certificates() {
            is("x509")?;
            drop_member(attestation, "caReferences");
            self.proof.apply_certificates(attestation, member)?;
        }
        if let Some(tpm) =
            self.tpm.filter(|tpm| tpm.endorsement_key.is_some() || tpm.storage_root_key.is_some())
        {
            is("tpm")?;
            apply_tpm(tpm, attestation)?;
        }
        if let Some(ca) =
            self.ca.filter(|ca| ca.root_ca_name.is_some() || ca.secondary_root_ca_name.is_some())
        {
            is("x509")?;
            drop_member(attestation, member);
            apply_ca(ca, attestation);
        }
        Ok(())
    }

    fn remove(&self, attestation: &mut Value, member: &str) -> Result<(), Failure> {
        let x509 = &mut attestation["x509"];
        let member =
            if x509.get("caReferences").is_some_and(|it| !it.is_null()) { "caReferences" } else { member };
        let Some(pair) = x509.get_mut(member).and_then(Value::as_object_mut) else {
            return Err(Failure::Usage("the enrollment has no certificate to take away".to_owned()));
        };
        let secondary = pair.remove("secondary").filter(|it| !it.is_null());
        if !self.removal.remove_certificate {
            return Ok(());
        }
        // The service shows the primary in the secondary's place when there is no secondary.
        let other = secondary.filter(|it| Some(it) != pair.get("primary"));
        match other {
            Some(other) if !self.removal.remove_secondary_certificate => {
                pair.insert("primary".into(), other);
                Ok(())
            }
            _ => Err(Failure::Usage(
                "no secondary certificate would take the place of the primary: say --certificate-path, or delete or \
                 disable the enrollment"
                    .to_owned(),
            )),
        }
    }
}

fn apply_tpm(tpm: &TpmOptions, attestation: &mut Value) -> Result<(), Failure> {
    for (name, key) in [("endorsementKey", &tpm.endorsement_key), ("storageRootKey", &tpm.storage_root_key)] {
        if let Some(key) = key {
            attestation["tpm"][name] = value::secret(key)?.into();
        }
    }
    Ok(())
}

fn apply_ca(ca: &CaOptions, attestation: &mut Value) {
    for (slot, name) in [("primary", &ca.root_ca_name), ("secondary", &ca.secondary_root_ca_name)] {
        if let Some(name) = name {
            attestation["x509"]["caReferences"][slot] = name.as_str().into();
        }
    }
}

fn drop_member(attestation: &mut Value, member: &str) {
    if let Some(x509) = attestation["x509"].as_object_mut() {
        x509.remove(member);
    }
}

/// A certificate's text as the service reads it: PEM, or base64 of DER.
fn certificate(path: &Path) -> Result<String, Failure> {
    let bytes = value::bytes(path)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => STANDARD.encode(error.as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(primary: &str) -> ProofOptions {
        ProofOptions { primary_key: Some(primary.into()), ..ProofOptions::default() }
    }

    fn file(content: &[u8]) -> (tempfile::TempDir, ProofOptions) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        std::fs::write(&path, content).unwrap();
        (folder, ProofOptions { certificate_path: Some(path), ..ProofOptions::default() })
    }

    fn usage<T>(result: Result<T, Failure>) -> String {
        let failure = result.err().unwrap();
        assert_eq!(failure.exit_status(), 2);
        failure.to_string()
    }

    #[test]
    fn individual_takes_the_options_of_its_type_alone() {
        let none = TpmOptions::default();
        let made = individual("symmetricKey", &keys("a2V5"), &none).ok().unwrap();
        assert_eq!(made, json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "a2V5"}}));
        assert_eq!(
            individual("symmetricKey", &ProofOptions::default(), &none).ok().unwrap(),
            json!({"type": "symmetricKey"})
        );
        assert!(usage(individual("x509", &keys("a2V5"), &none)).contains("symmetricKey stands beside"));
        assert!(usage(individual("x509", &ProofOptions::default(), &none)).contains("--certificate-path"));
        assert!(usage(individual("tpm", &ProofOptions::default(), &none)).contains("muster device tpm"));
        let tpm = TpmOptions { endorsement_key: Some("AToA".into()), storage_root_key: None };
        let made = individual("tpm", &ProofOptions::default(), &tpm).ok().unwrap();
        assert_eq!(made, json!({"type": "tpm", "tpm": {"endorsementKey": "AToA"}}));
    }

    #[test]
    fn certificate_file_is_pem_text_or_der() {
        let (_folder, pem) = file(b"-----BEGIN CERTIFICATE-----\n");
        let made = individual("x509", &pem, &TpmOptions::default()).ok().unwrap();
        let text = &made["x509"]["clientCertificates"]["primary"]["certificate"];
        assert_eq!(text, "-----BEGIN CERTIFICATE-----\n");
        let (_folder, der) = file(&[0x30, 0x82, 0xff]);
        let made = group(&der, &CaOptions::default()).ok().unwrap();
        assert_eq!(made["x509"]["signingCertificates"]["primary"]["certificate"], "MIL/");
    }

    #[test]
    fn group_is_what_its_options_name() {
        let none = CaOptions::default();
        assert_eq!(group(&ProofOptions::default(), &none).ok().unwrap(), json!({"type": "symmetricKey"}));
        let ca = CaOptions { root_ca_name: Some("root".into()), secondary_root_ca_name: None };
        let made = group(&ProofOptions::default(), &ca).ok().unwrap();
        assert_eq!(made, json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}}}));
        assert!(usage(group(&keys("a"), &ca)).contains("not both"));
        let second = CaOptions { root_ca_name: None, secondary_root_ca_name: Some("b".into()) };
        assert!(usage(group(&ProofOptions::default(), &second)).contains("needs a primary"));
    }

    fn changed(mut item: Value, change: &Change<'_>) -> Result<Value, Failure> {
        change.apply(item.as_object_mut().unwrap())?;
        Ok(item)
    }

    fn enrolled(primary: &str, secondary: &str) -> Value {
        let pair = json!({"primary": {"info": primary}, "secondary": {"info": secondary}});
        json!({"attestation": {"type": "x509", "x509": {"clientCertificates": pair}}})
    }

    #[test]
    fn removed_primary_certificate_is_replaced_by_the_secondary() {
        let (proof, tpm) = (ProofOptions::default(), TpmOptions::default());
        let removal = RemovalOptions { remove_certificate: true, remove_secondary_certificate: false };
        let change = Change { proof: &proof, removal, tpm: Some(&tpm), ca: None };
        let rolled = changed(enrolled("old", "new"), &change).ok().unwrap();
        let pair = json!({"primary": {"info": "new"}});
        assert_eq!(rolled["attestation"]["x509"]["clientCertificates"], pair);
        assert!(usage(changed(enrolled("old", "old"), &change)).contains("--certificate-path"));
        let keys = json!({"attestation": {"type": "symmetricKey"}});
        assert!(usage(changed(keys, &change)).contains("is symmetricKey"));
    }

    #[test]
    fn update_changes_what_is_said() {
        let (proof, tpm) = (keys("bmV3"), TpmOptions::default());
        let removal = RemovalOptions::default();
        let change = Change { proof: &proof, removal, tpm: Some(&tpm), ca: None };
        let item = json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "a", "secondaryKey": "b"}}});
        let keys = &changed(item, &change).ok().unwrap()["attestation"]["symmetricKey"];
        assert_eq!(*keys, json!({"primaryKey": "bmV3", "secondaryKey": "b"}));

        let ca = CaOptions { root_ca_name: Some("root".into()), secondary_root_ca_name: None };
        let proof = ProofOptions::default();
        let change = Change { proof: &proof, removal, tpm: None, ca: Some(&ca) };
        let item = json!({"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {}}}}});
        let x509 = &changed(item, &change).ok().unwrap()["attestation"]["x509"];
        assert_eq!(*x509, json!({"caReferences": {"primary": "root"}}));
    }
}
