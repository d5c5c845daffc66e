//! A small PKI for tests: certificate authorities and what they issue. Must not judge anything.

use dps_attestation::x509::certificate::read_der;
use dps_attestation::{Attested, EnrollmentKind, Evidence, PresentedChain, Reason, Subject, verify};
use dps_model::attestation::{Certificates, Mechanism};
use dps_model::certificate_authority::CaCertificate;
use dps_model::{IdScope, RegistrationId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SignatureAlgorithm,
};

/// 2030-01-01T00:00:00Z: every certificate without times of its own is valid then.
pub const NOW: i64 = 1_893_456_000_000;

pub fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}

/// Certificate authority with its key.
pub struct Ca {
    pub params: CertificateParams,
    pub key: KeyPair,
    pub der: Vec<u8>,
}

pub fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Contoso");
    name.push(DnType::CommonName, common_name);
    name
}

pub fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    params
}

pub fn leaf_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

impl Ca {
    pub fn root(common_name: &str) -> Self {
        Self::root_with(common_name, |_| {})
    }

    pub fn root_with(common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::root_key(common_name, KeyPair::generate().unwrap(), change)
    }

    pub fn root_of(common_name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::root_key(common_name, KeyPair::generate_for(algorithm).unwrap(), |_| {})
    }

    pub fn root_key(common_name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(common_name);
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub fn issue_ca(&self, common_name: &str) -> Self {
        self.issue_ca_with(common_name, |_| {})
    }

    pub fn issue_ca_with(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.issue_ca_key(common_name, KeyPair::generate().unwrap(), change)
    }

    pub fn issue_ca_key(
        &self,
        common_name: &str,
        key: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = ca_params(common_name);
        change(&mut params);
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    /// A device's certificate.
    pub fn issue(&self, common_name: &str) -> Vec<u8> {
        self.issue_with(common_name, |_| {})
    }

    pub fn issue_with(&self, common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = leaf_params(common_name);
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }

    pub fn again(&self) -> KeyPair {
        KeyPair::try_from(self.key.serialized_der()).unwrap()
    }
}

/// A self-signed device certificate.
pub fn self_signed(common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = leaf_params(common_name);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

pub fn pair(primary: &[u8], secondary: Option<&[u8]>) -> Certificates {
    Certificates {
        primary: read_der(primary).unwrap(),
        secondary: secondary.map(|der| read_der(der).unwrap()),
    }
}

pub fn judge(
    mechanism: &Mechanism,
    evidence: &Evidence,
    scope: EnrollmentKind,
    id: &str,
    now: Timestamp,
) -> Result<Attested, Reason> {
    judge_with(&[], mechanism, evidence, scope, id, now)
}

/// As `judge`, where these CA certificates were uploaded.
pub fn judge_with(
    authorities: &[CaCertificate],
    mechanism: &Mechanism,
    evidence: &Evidence,
    scope: EnrollmentKind,
    id: &str,
    now: Timestamp,
) -> Result<Attested, Reason> {
    let id_scope = IdScope::parse("0ne00TEST01").unwrap();
    let registration_id = RegistrationId::parse(id).unwrap();
    let subject = Subject {
        id_scope: &id_scope,
        registration_id: &registration_id,
        scope,
        authorities,
        challenger: None,
    };
    verify(mechanism, evidence, &subject, now).into_result().map_err(|denial| denial.reason)
}

/// A group with those certificates judges a device that presents those, leaf first, and says it is `device-1`.
pub fn group(primary: &[u8], secondary: Option<&[u8]>, presented: &[&[u8]]) -> Result<Attested, Reason> {
    let chain: Vec<Vec<u8>> = presented.iter().map(|der| der.to_vec()).collect();
    let chain = PresentedChain::parse(&chain).map_err(|denial| denial.reason)?;
    let mechanism = Mechanism::SigningCertificates(pair(primary, secondary));
    judge(&mechanism, &Evidence::X509(chain), EnrollmentKind::Group, "device-1", now())
}

/// An individual enrollment of `device-1` judges a device.
pub fn individual(primary: &[u8], secondary: Option<&[u8]>, leaf: &[u8]) -> Result<Attested, Reason> {
    let chain = PresentedChain::parse(&[leaf.to_vec()]).map_err(|denial| denial.reason)?;
    let mechanism = Mechanism::ClientCertificates(pair(primary, secondary));
    judge(&mechanism, &Evidence::X509(chain), EnrollmentKind::Individual, "device-1", now())
}

/// The refusal's code, or a panic with what happened instead.
pub fn code(result: Result<Attested, Reason>) -> &'static str {
    let reason = result.expect_err("refused");
    // Every reason has a sentence of its own, never its bare code.
    assert!(reason.to_string().contains(' '), "{reason}");
    reason.code()
}
