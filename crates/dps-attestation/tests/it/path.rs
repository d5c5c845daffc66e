//! Certificates: what is accepted, and one refusal per reason, as docs/reference/attestation.md lists them.

use dps_attestation::{Denial, EnrollmentKind, Evidence, PresentedChain, Reason, Role, Slot};
use dps_model::ErrorCode;
use dps_model::attestation::Mechanism;
use dps_model::hub::HubAuthentication;
use dps_model::limits::{MAX_CHAIN_CERTIFICATES, MAX_SIGNATURE_CHECKS};
use rcgen::{
    BasicConstraints, CidrSubnet, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use crate::pki::{Ca, code, group, judge, now, pair, self_signed};

#[test]
fn group_leaf_of_signer_accepted_with_thumbprint_for_the_hub() {
    let root = Ca::root("Root");
    let leaf = root.issue("device-1");
    let attested = group(&root.der, None, &[&leaf]).unwrap();
    let info = dps_attestation::x509::certificate::read_der(&leaf).unwrap().info;
    let expected = HubAuthentication::SelfSigned {
        primary_thumbprint: info.sha256_thumbprint.clone(),
        secondary_thumbprint: None,
    };
    assert!(*attested.authentication() == expected);
    assert_eq!((attested.kind(), attested.slot()), ("x509", Slot::Primary));
    assert_eq!(attested.certificate(), Some(&info));
    assert_eq!(attested.signing_certificate().unwrap().subject_name, "CN=Root, O=Contoso");
    assert_eq!(info.sha256_thumbprint.len(), 64);
    assert_eq!(info.sha256_thumbprint, info.sha256_thumbprint.to_uppercase());
    assert_eq!(attested.path().unwrap().depth(), 0);
}

#[test]
fn group_any_certificate_of_a_long_chain_may_be_the_signer() {
    let root = Ca::root("Root");
    let first = root.issue_ca("First");
    let second = first.issue_ca("Second");
    let leaf = second.issue("device-1");
    for (signer, depth) in [(&second, 0), (&first, 1), (&root, 2)] {
        let whole: [&[u8]; 4] = [&leaf, &second.der, &first.der, &root.der];
        let attested = group(&signer.der, None, &whole).unwrap();
        assert_eq!(attested.path().unwrap().depth(), depth);
        // Without the signer itself, which the service holds.
        let below = whole.get(..=depth).unwrap();
        assert_eq!(group(&signer.der, None, below).unwrap().path().unwrap().depth(), depth);
    }
}

#[test]
fn group_chain_in_any_order_with_foreign_certificates_accepted() {
    let root = Ca::root("Root");
    let first = root.issue_ca("First");
    let second = first.issue_ca("Second");
    let foreign = Ca::root("Foreign");
    let leaf = second.issue("device-1");
    let garbage = b"no certificate".to_vec();
    let presented: [&[u8]; 6] = [&leaf, &foreign.der, &root.der, &garbage, &first.der, &second.der];
    let attested = group(&root.der, None, &presented).unwrap();
    let subjects: Vec<_> =
        attested.path().unwrap().intermediates.iter().map(|info| info.subject_name.as_str()).collect();
    assert_eq!(subjects, ["CN=Second, O=Contoso", "CN=First, O=Contoso"]);
}

#[test]
fn group_secondary_signer_accepted_in_its_slot() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let attested = group(&old.der, Some(&new.der), &[&new.issue("device-1")]).unwrap();
    assert_eq!(attested.slot(), Slot::Secondary);
}

#[test]
fn group_reissued_signer_of_the_same_name_as_secondary_accepted() {
    let (old, new) = (Ca::root("Root"), Ca::root("Root"));
    let leaf = new.issue("device-1");
    assert_eq!(group(&old.der, Some(&new.der), &[&leaf]).unwrap().slot(), Slot::Secondary);
    // Without key identifiers there is only the signature to tell them apart.
    let leaf = new.issue_with("device-1", |params| params.use_authority_key_identifier_extension = false);
    assert_eq!(group(&old.der, Some(&new.der), &[&leaf]).unwrap().slot(), Slot::Secondary);
}

#[test]
fn group_cross_signed_intermediate_found_by_either_root() {
    let (here, there) = (Ca::root("Here"), Ca::root("There"));
    let crossed = here.issue_ca("Crossed");
    let other_side = there.issue_ca_key("Crossed", crossed.again(), |_| {});
    let leaf = crossed.issue("device-1");
    let presented: [&[u8]; 3] = [&leaf, &crossed.der, &other_side.der];
    for root in [&here, &there] {
        assert_eq!(group(&root.der, None, &presented).unwrap().path().unwrap().depth(), 1);
    }
}

#[test]
fn group_intermediates_of_one_name_and_other_keys_found() {
    let root = Ca::root("Root");
    let wrong = root.issue_ca("Issuing");
    let right = root.issue_ca("Issuing");
    let leaf = right.issue_with("device-1", |params| params.use_authority_key_identifier_extension = false);
    assert!(group(&root.der, None, &[&leaf, &wrong.der, &right.der]).is_ok());
}

#[test]
fn group_names_equal_but_for_case_space_and_encoding_accepted() {
    let mut root = Ca::root("Root");
    let der = root.der.clone();
    // The same CA writes its name otherwise in what it issues.
    root.params.distinguished_name = {
        let mut name = rcgen::DistinguishedName::new();
        name.push(DnType::OrganizationName, DnValue::PrintableString("CONTOSO".try_into().unwrap()));
        name.push(DnType::CommonName, " root ");
        name
    };
    let leaf = root.issue("device-1");
    assert!(group(&der, None, &[&leaf]).is_ok());
}

#[test]
fn group_every_key_type_accepted() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ECDSA_P521_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let root = Ca::root_of("Root", algorithm);
        assert!(group(&root.der, None, &[&root.issue("device-1")]).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn group_lenient_corners_accepted() {
    let root = Ca::root("Root");
    let unknown = || {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        extension
    };
    let leaves = [
        root.issue_with("device-1", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        root.issue_with("device-1", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        root.issue_with("device-1", |params| params.custom_extensions = vec![unknown()]),
        root.issue_with("DEVICE-1", |_| {}),
    ];
    for leaf in leaves {
        assert!(group(&root.der, None, &[&leaf]).is_ok());
    }
    let plain = Ca::root_with("Plain", |params| params.key_usages = Vec::new());
    assert!(group(&plain.der, None, &[&plain.issue("device-1")]).is_ok());
    let server_only = Ca::root_with("Server", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(group(&server_only.der, None, &[&server_only.issue("device-1")]).is_ok());
}

#[test]
fn certificate_without_end_is_valid() {
    let root = Ca::root("Root");
    let leaf = root.issue_with("device-1", |params| params.not_after = date_time_ymd(9999, 12, 31));
    let attested = group(&root.der, None, &[&leaf]).unwrap();
    assert!(attested.certificate().unwrap().not_after_utc.to_string().starts_with("9999-12-30"));
    // What is kept of it reads back.
    let mechanism = Mechanism::ClientCertificates(pair(&leaf, None));
    assert!(Mechanism::from_material(&mechanism.to_material()).unwrap() == mechanism);
}

#[test]
fn chain_incomplete_names_the_missing_certificate() {
    let root = Ca::root("Root");
    let middle = root.issue_ca("Middle");
    let leaf = middle.issue("device-1");
    let reason = group(&root.der, None, &[&leaf]).unwrap_err();
    let Reason::ChainIncomplete { subject, issuer, issuer_key, presented } = &reason else {
        panic!("{reason}");
    };
    let parsed = PresentedChain::parse(std::slice::from_ref(&middle.der)).unwrap();
    assert_eq!(issuer_key.as_deref(), parsed.leaf().subject_key_id().as_deref());
    assert_eq!((subject.as_str(), issuer.as_str()), ("CN=device-1, O=Contoso", "CN=Middle, O=Contoso"));
    assert_eq!((*presented, reason.code()), (1, "X509_CHAIN_INCOMPLETE"));
    let denial = Denial::from(reason);
    assert_eq!(
        (denial.code, &*denial.message),
        (ErrorCode::CertificateRejected, "CA certificate not found.")
    );
}

#[test]
fn chain_to_another_root_is_named() {
    let (root, other) = (Ca::root("Root"), Ca::root("Other"));
    let leaf = other.issue("device-1");
    let reason = group(&root.der, None, &[&leaf, &other.der]).unwrap_err();
    assert_eq!(
        reason,
        Reason::SignerNotInChain { top: "CN=Other, O=Contoso".into(), enrolled: "CN=Root, O=Contoso".into() }
    );
    assert_eq!(reason.code(), "X509_SIGNER_NOT_IN_CHAIN");
    assert_eq!(reason.public().1, "Signing certificate info did not match chain elements.");
    let alone = self_signed("device-1", |_| {});
    assert_eq!(code(group(&root.der, None, &[&alone])), "X509_SIGNER_NOT_IN_CHAIN");
}

#[test]
fn signer_issued_anew_is_named_with_both_keys() {
    let (old, new) = (Ca::root("Root"), Ca::root("Root"));
    let middle = new.issue_ca("Middle");
    let leaf = middle.issue("device-1");
    for presented in [&[leaf.as_slice(), &middle.der][..], &[leaf.as_slice(), &middle.der, &new.der][..]] {
        let reason = group(&old.der, None, presented).unwrap_err();
        let Reason::SignerReissued { subject, signer, enrolled_key, presented_key } = &reason else {
            panic!("{reason}");
        };
        assert_eq!((subject.as_str(), signer.as_str()), ("CN=Middle, O=Contoso", "CN=Root, O=Contoso"));
        assert!(enrolled_key.is_some() && presented_key.is_some() && enrolled_key != presented_key);
        assert_eq!(code(Err(reason)), "X509_SIGNER_REISSUED");
    }
}

#[test]
fn leaf_that_is_the_signer_is_named() {
    let root = Ca::root("device-1");
    assert_eq!(code(group(&root.der, None, &[&root.der])), "X509_LEAF_IS_CA");
}

#[test]
fn changed_signature_is_named() {
    let root = Ca::root("Root");
    let mut leaf = root.issue("device-1");
    *leaf.last_mut().unwrap() ^= 1;
    let reason = group(&root.der, None, &[&leaf]).unwrap_err();
    assert_eq!(
        reason,
        Reason::SignatureInvalid {
            subject: "CN=device-1, O=Contoso".into(),
            issuer: "CN=Root, O=Contoso".into()
        }
    );
    assert_eq!(code(Err(reason)), "X509_SIGNATURE_INVALID");
    // The presented CA of that name did not sign.
    let (middle, impostor) = (root.issue_ca("Middle"), root.issue_ca("Middle"));
    let result = group(&root.der, None, &[&middle.issue("device-1"), &impostor.der]);
    assert_eq!(code(result), "X509_SIGNATURE_INVALID");
}

#[test]
fn times_of_leaf_intermediate_and_signer_are_judged() {
    let past = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2029, 12, 31);
    let future = |params: &mut rcgen::CertificateParams| params.not_before = date_time_ymd(2030, 1, 2);
    let root = Ca::root("Root");
    let reason = group(&root.der, None, &[&root.issue_with("device-1", past)]).unwrap_err();
    assert!(
        matches!(&reason, Reason::CertificateExpired { role: Role::Leaf, by_seconds: 86_400, .. }),
        "{reason}"
    );
    assert_eq!(code(Err(reason)), "X509_CERTIFICATE_EXPIRED");
    let reason = group(&root.der, None, &[&root.issue_with("device-1", future)]).unwrap_err();
    assert!(
        matches!(&reason, Reason::CertificateNotYetValid { role: Role::Leaf, in_seconds: 86_400, .. }),
        "{reason}"
    );
    assert_eq!(code(Err(reason)), "X509_CERTIFICATE_NOT_YET_VALID");

    let middle = root.issue_ca_with("Middle", past);
    let reason = group(&root.der, None, &[&middle.issue("device-1"), &middle.der]).unwrap_err();
    assert!(matches!(&reason, Reason::CertificateExpired { role: Role::Intermediate, .. }), "{reason}");
    let old = Ca::root_with("Old", past);
    let reason = group(&old.der, None, &[&old.issue("device-1")]).unwrap_err();
    assert!(matches!(&reason, Reason::CertificateExpired { role: Role::Signer, .. }), "{reason}");
    let young = Ca::root_with("Young", future);
    let reason = group(&young.der, None, &[&young.issue("device-1")]).unwrap_err();
    assert!(matches!(&reason, Reason::CertificateNotYetValid { role: Role::Signer, .. }), "{reason}");
}

#[test]
fn validity_includes_its_first_and_last_second() {
    let root = Ca::root("Root");
    let leaf = root.issue_with("device-1", |params| {
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 2);
    });
    let chain = PresentedChain::parse(&[leaf]).unwrap();
    let mechanism = Mechanism::SigningCertificates(pair(&root.der, None));
    let at = |millis: i64| {
        let evidence = Evidence::X509(chain.clone());
        judge(&mechanism, &evidence, EnrollmentKind::Group, "device-1", now().plus_millis(millis))
            .map_err(|reason| reason.code())
            .map(|_| ())
    };
    assert_eq!(at(-1), Err("X509_CERTIFICATE_NOT_YET_VALID"));
    assert_eq!((at(0), at(86_400_999)), (Ok(()), Ok(())));
    assert_eq!(at(86_401_000), Err("X509_CERTIFICATE_EXPIRED"));
}

#[test]
fn certificate_that_contradicts_itself_is_malformed() {
    let root = Ca::root("Root");
    // The outer name of the algorithm is not signed: ecdsa-with-SHA256 becomes ecdsa-with-SHA384.
    let mut other = root.issue("device-1");
    let name = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let at = other.windows(name.len()).rposition(|window| window == name).unwrap();
    other[at + name.len() - 1] = 3;
    let twice = root.issue_with("device-1", |params| {
        let extension = || CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        params.custom_extensions = vec![extension(), extension()];
    });
    for (leaf, why) in [(other, "not the one that is signed"), (twice, "stands twice")] {
        let reason = PresentedChain::parse(&[leaf]).unwrap_err().reason;
        assert!(
            matches!(&reason, Reason::CertificateMalformed { position: 0, why: found } if found.contains(why)),
            "{reason}"
        );
    }
}

#[test]
fn renewed_intermediate_beside_the_expired_one_is_used() {
    let root = Ca::root("Root");
    let old = root.issue_ca_with("Middle", |params| params.not_after = date_time_ymd(2029, 12, 31));
    let new = root.issue_ca_key("Middle", old.again(), |_| {});
    assert!(group(&root.der, None, &[&old.issue("device-1"), &old.der, &new.der]).is_ok());
}

#[test]
fn issuer_without_ca_flag_is_named() {
    let root = Ca::root("Root");
    let leaf_as_ca = root.issue_ca_with("Middle", |params| params.is_ca = IsCa::ExplicitNoCa);
    let result = group(&root.der, None, &[&leaf_as_ca.issue("device-1"), &leaf_as_ca.der]);
    assert_eq!(code(result), "X509_ISSUER_NOT_CA");
    let silent = root.issue_ca_with("Middle", |params| params.is_ca = IsCa::NoCa);
    let reason = group(&root.der, None, &[&silent.issue("device-1"), &silent.der]).unwrap_err();
    assert!(matches!(&reason, Reason::IssuerNotCa { why: "it has no BasicConstraints", .. }), "{reason}");
}

#[test]
fn issuer_without_key_cert_sign_is_named() {
    let root = Ca::root("Root");
    let middle =
        root.issue_ca_with("Middle", |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    let result = group(&root.der, None, &[&middle.issue("device-1"), &middle.der]);
    assert_eq!(code(result), "X509_ISSUER_MAY_NOT_SIGN");
}

#[test]
fn path_length_of_intermediate_and_signer_is_judged() {
    let none_below =
        |params: &mut rcgen::CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = Ca::root_with("Root", none_below);
    assert!(group(&root.der, None, &[&root.issue("device-1")]).is_ok());
    let middle = root.issue_ca("Middle");
    let reason = group(&root.der, None, &[&middle.issue("device-1"), &middle.der]).unwrap_err();
    assert_eq!(
        reason,
        Reason::PathLengthExceeded {
            role: Role::Signer,
            subject: "CN=Root, O=Contoso".into(),
            allowed: 0,
            found: 1
        }
    );
    assert_eq!(code(Err(reason)), "X509_PATH_LENGTH_EXCEEDED");

    let root = Ca::root("Root");
    let upper = root.issue_ca_with("Upper", none_below);
    let lower = upper.issue_ca("Lower");
    let leaf = lower.issue("device-1");
    let reason = group(&root.der, None, &[&leaf, &lower.der, &upper.der]).unwrap_err();
    assert!(matches!(&reason, Reason::PathLengthExceeded { role: Role::Intermediate, .. }), "{reason}");
    // A CA that hands over to its own next key is no further level (RFC 5280 §6.1.4).
    let next = upper.issue_ca("Upper");
    let handed_over: [&[u8]; 3] = [&next.issue("device-1"), &next.der, &upper.der];
    assert!(group(&root.der, None, &handed_over).is_ok());
    // A group on the lower CA never looks at the upper one.
    assert!(group(&lower.der, None, &[&leaf, &lower.der, &upper.der]).is_ok());
}

#[test]
fn critical_extension_of_a_ca_is_named() {
    let root = Ca::root("Root");
    let middle = root.issue_ca_with("Middle", |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 7], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    let reason = group(&root.der, None, &[&middle.issue("device-1"), &middle.der]).unwrap_err();
    assert!(
        matches!(&reason, Reason::CriticalExtension { oid, .. } if oid == "1.3.6.1.4.1.99999.7"),
        "{reason}"
    );
    assert_eq!(code(Err(reason)), "X509_CRITICAL_EXTENSION");
}

#[test]
fn name_constraints_bind_subject_and_alternative_names() {
    let constrained = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
        Ca::root_with("Root", |params| {
            params.name_constraints =
                Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
        })
    };
    let mut contoso = rcgen::DistinguishedName::new();
    contoso.push(DnType::OrganizationName, "contoso");
    let mut fabrikam = rcgen::DistinguishedName::new();
    fabrikam.push(DnType::OrganizationName, "Fabrikam");
    let directory = |name: &rcgen::DistinguishedName| GeneralSubtree::DirectoryName(name.clone());
    let network = || GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 1, 0, 0], 16));

    let inside = constrained(vec![directory(&contoso)], Vec::new());
    assert!(group(&inside.der, None, &[&inside.issue("device-1")]).is_ok());
    let outside = constrained(vec![directory(&fabrikam)], Vec::new());
    assert_eq!(
        code(group(&outside.der, None, &[&outside.issue("device-1")])),
        "X509_NAME_CONSTRAINT_VIOLATED"
    );
    // An empty subject is none that a constraint could forbid; the common name is missed afterwards.
    let nameless =
        outside.issue_with("x", |params| params.distinguished_name = rcgen::DistinguishedName::new());
    assert_eq!(code(group(&outside.der, None, &[&nameless])), "X509_COMMON_NAME_MISSING");
    let excluded = constrained(Vec::new(), vec![directory(&contoso)]);
    assert_eq!(
        code(group(&excluded.der, None, &[&excluded.issue("device-1")])),
        "X509_NAME_CONSTRAINT_VIOLATED"
    );

    let names = constrained(
        vec![GeneralSubtree::DnsName("contoso.com".into()), network()],
        vec![GeneralSubtree::Rfc822Name("spam.example".into())],
    );
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (san, allowed) in [
        (dns("a.CONTOSO.com"), true),
        (dns("contoso.com"), true),
        (dns("notcontoso.com"), false),
        (SanType::IpAddress([10, 1, 2, 3].into()), true),
        (SanType::IpAddress([10, 2, 2, 3].into()), false),
        (SanType::Rfc822Name("a@ham.example".try_into().unwrap()), true),
        (SanType::Rfc822Name("a@spam.example".try_into().unwrap()), false),
    ] {
        let leaf = names.issue_with("device-1", |params| params.subject_alt_names = vec![san.clone()]);
        assert_eq!(group(&names.der, None, &[&leaf]).is_ok(), allowed, "{san:?}");
    }
}

#[test]
fn signature_checks_are_bounded() {
    let roots: Vec<Ca> = (0..MAX_CHAIN_CERTIFICATES).map(|_| Ca::root("Root")).collect();
    // Every CA of one name may have issued every other one: many edges, none of which leads anywhere.
    let middles: Vec<Ca> =
        roots.iter().take(MAX_CHAIN_CERTIFICATES - 1).map(|root| root.issue_ca("Root")).collect();
    let leaf = Ca::root("Root").issue_with("device-1", |params| {
        params.use_authority_key_identifier_extension = false;
    });
    let mut presented = vec![leaf.as_slice()];
    presented.extend(middles.iter().map(|ca| ca.der.as_slice()));
    // The leaf's own signature is checked once for each CA; none made it, so the search ends well inside the bound.
    assert_eq!(code(group(&roots[0].der, None, &presented)), "X509_SIGNER_REISSUED");

    // A ladder in which every CA signed the next but one as well, and no rung reaches the signer.
    let key = || KeyPair::generate().unwrap();
    let tops: Vec<Ca> = (0..3).map(|_| Ca::root("A")).collect();
    let mut presented: Vec<Vec<u8>> = Vec::new();
    let low = Ca::root("A");
    presented
        .push(low.issue_with("device-1", |params| params.use_authority_key_identifier_extension = false));
    for top in &tops {
        presented.push(top.issue_ca_key("A", low.again(), |_| {}).der);
    }
    for (one, other) in [(0, 1), (1, 2), (2, 0)] {
        presented.push(tops[one].issue_ca_key("A", tops[other].again(), |_| {}).der);
    }
    let foreign = tops[0].issue_ca_key("A", key(), |_| {});
    presented.push(foreign.der);
    presented.push(tops[1].issue_ca_key("A", key(), |_| {}).der);
    presented.push(tops[2].issue_ca_key("A", key(), |_| {}).der);
    let presented: Vec<&[u8]> = presented.iter().map(Vec::as_slice).collect();
    let signer = Ca::root("Elsewhere");
    let reason = group(&signer.der, None, &presented).unwrap_err();
    assert_eq!(reason, Reason::TooManySignatureChecks { spent: MAX_SIGNATURE_CHECKS });
    assert_eq!(code(Err(reason)), "X509_TOO_MANY_SIGNATURE_CHECKS");
}
