//! Certificates: where the path to an enrolled certificate breaks.

use dps_events::{AttemptRecord, Candidate, Cause, CertificateSummary, Enrollment};

use super::{Findings, Told as _, word};
use crate::known::{Authority, Known, Signer};

/// How far the check of a candidate came before it failed: the further, the likelier is it the one that was meant.
pub(super) fn nearness(reason: &str) -> u8 {
    match reason {
        "X509_CERTIFICATE_EXPIRED"
        | "X509_CERTIFICATE_NOT_YET_VALID"
        | "X509_COMMON_NAME_MISMATCH"
        | "X509_COMMON_NAME_MISSING" => 9,
        "X509_CA_NOT_VERIFIED" | "X509_LEAF_IS_CA" => 8,
        "X509_PATH_LENGTH_EXCEEDED"
        | "X509_NAME_CONSTRAINT_VIOLATED"
        | "X509_CRITICAL_EXTENSION"
        | "X509_ISSUER_NOT_CA"
        | "X509_ISSUER_MAY_NOT_SIGN"
        | "X509_SIGNATURE_ALGORITHM_REFUSED" => 7,
        "X509_SIGNATURE_INVALID" => 6,
        "X509_SIGNER_REISSUED" => 5,
        "X509_CHAIN_INCOMPLETE" => 4,
        "X509_CA_REFERENCE_UNRESOLVED" => 3,
        "X509_SIGNER_NOT_IN_CHAIN" => 2,
        _ => 1,
    }
}

/// Why one enrollment did not let the device in.
pub(super) fn candidate(
    attempt: &AttemptRecord,
    known: &Known,
    candidate: &Candidate,
    sentence: &str,
    findings: &mut Findings,
) {
    let reason = candidate.reason;
    let shown = findings
        .add(reason, sentence)
        .fact(candidate.enrollment.kind, candidate.enrollment.id.clone())
        .fact("presented certificates", attempt.chain.len().to_string());
    let enrollment = word(&candidate.enrollment.id);
    match reason {
        "X509_CHAIN_INCOMPLETE" => incomplete(attempt, known, shown),
        "X509_CERTIFICATE_NOT_ENROLLED" => {
            shown.command(
                "enroll the presented certificate as secondary",
                format!("muster enrollment update --registration-id {enrollment} --secondary-certificate-path LEAF.pem"),
            );
        }
        "X509_SIGNER_REISSUED" | "X509_SIGNER_NOT_IN_CHAIN" => {
            shown.command(
                "enroll the CA certificate that signed as secondary",
                format!("muster enrollment-group update --enrollment-id {enrollment} --secondary-certificate-path CA.pem"),
            );
        }
        "X509_CA_NOT_VERIFIED" => {
            shown
                .command(
                    "get a code for the CA certificate, and sign a certificate with that common name",
                    "muster certificate generate-verification-code --certificate-name NAME",
                )
                .command(
                    "then send that one",
                    "muster certificate verify --certificate-name NAME --path PROOF.pem",
                );
        }
        "X509_LEAF_IS_CA" => {
            shown.command(
                "sign a certificate for the device with it",
                format!(
                    "openssl req -new -key DEVICE.key -subj {} | openssl x509 -req -CA CA.pem -CAkey CA.key \
                     -CAcreateserial -days 365 -out DEVICE.pem",
                    word(&format!("/CN={}", attempt.registration_id))
                ),
            );
        }
        _ => {}
    }
}

/// What is missing, and how it is sent along.
fn incomplete(attempt: &AttemptRecord, known: &Known, shown: Option<&mut Cause>) {
    let Some(last) = attempt.chain.last() else { return };
    let mut shown = shown
        .fact("missing certificate", last.issuer.clone())
        .fact("missing key", last.authority_key_id.clone().unwrap_or_else(|| "unnamed".into()));
    if let Some(authority) = holder(known, last) {
        shown = shown.fix(format!(
            "the missing certificate is uploaded here as {}: install it on the device behind its own",
            authority.name
        ));
    }
    let shown = shown
        .command(
            "install the device's certificate and the intermediate ones in one file, the device's first",
            "cat DEVICE.pem INTERMEDIATE.pem > CHAIN.pem",
        )
        .command(
            "or, for a PFX, put them in",
            "openssl pkcs12 -export -in DEVICE.pem -inkey DEVICE.key -certfile INTERMEDIATE.pem -out DEVICE.pfx",
        );
    store_of_windows(attempt, shown);
}

/// Schannel leaves the intermediate certificates away; clients tell their platform in their user agent.
fn store_of_windows(attempt: &AttemptRecord, shown: Option<&mut Cause>) {
    let windows =
        attempt.client.as_ref().is_some_and(|client| client.to_ascii_lowercase().contains("windows"));
    if windows && attempt.chain.len() == 1 {
        shown.fix(
            "the client says that it runs on Windows: its TLS sends the intermediate certificates only when they are in the \
             machine's store of intermediate certification authorities; or enroll the direct issuer",
        );
    }
}

/// The uploaded CA certificate that issued this one, by key where it names one, else by name.
fn holder<'a>(known: &'a Known, issued: &CertificateSummary) -> Option<&'a Authority> {
    known.authorities.iter().find(|authority| issues(authority.key.as_ref(), &authority.subject, issued))
}

fn issues(key: Option<&String>, subject: &str, issued: &CertificateSummary) -> bool {
    match (key, &issued.authority_key_id) {
        (Some(key), Some(wanted)) => key.eq_ignore_ascii_case(wanted),
        _ => subject == issued.issuer,
    }
}

/// A chain that no enrollment is named by.
pub(super) fn unknown(attempt: &AttemptRecord, known: &Known, findings: &mut Findings) {
    let (Some(leaf), Some(top)) = (attempt.chain.first(), attempt.chain.last()) else { return };
    reissued(known, top, findings);
    if let Some(authority) = holder(known, top).or_else(|| known.authorities.iter().find(|a| is(a, top))) {
        return uploaded(authority, findings);
    }
    if leaf.subject == leaf.issuer || known.signers.is_empty() {
        return;
    }
    let alone = attempt.chain.len() == 1;
    let enrolled =
        known.signers.iter().take(3).map(|signer| format!("{} ({})", signer.group, signer.subject));
    let enrolled = enrolled.collect::<Vec<_>>().join("; ");
    if top.subject == top.issuer {
        findings
            .add(
                "X509_ISSUER_UNKNOWN",
                format!("the chain ends at the self-signed {}, which no enrollment group has", top.subject),
            )
            .fact("enrolled", enrolled);
        return;
    }
    let sentence = if alone {
        format!(
            "the device presented its own certificate alone, and no enrollment group has that of its issuer {}: either \
             the device sends that one too, or a group is made of it",
            leaf.issuer
        )
    } else {
        format!(
            "the {} presented certificates end at {}, whose issuer {} is no enrollment group's certificate",
            attempt.chain.len(),
            top.subject,
            top.issuer
        )
    };
    let shown = findings
        .add("X509_CHAIN_INCOMPLETE", sentence)
        .inferred()
        .fact("presented certificates", attempt.chain.len().to_string())
        .fact("missing certificate", top.issuer.clone())
        .fact("missing key", top.authority_key_id.clone().unwrap_or_else(|| "unnamed".into()))
        .fact("enrolled", enrolled)
        .command(
            "install the device's certificate and the intermediate ones in one file, the device's first",
            "cat DEVICE.pem INTERMEDIATE.pem > CHAIN.pem",
        );
    let shown = shown.command(
        "or enroll the direct issuer",
        "muster enrollment-group create --enrollment-id NEW-GROUP --certificate-path ISSUER.pem",
    );
    store_of_windows(attempt, shown);
    findings
        .add("X509_ISSUER_UNKNOWN", format!("no enrollment group has the issuer {}", top.issuer))
        .fact("issuer", top.issuer.clone());
}

/// The chain leads to an uploaded CA certificate, and no group does.
fn uploaded(authority: &Authority, findings: &mut Findings) {
    let leads = format!("the chain leads to the CA certificate {}", authority.name);
    if authority.verified {
        findings
            .add("X509_NO_GROUP_FOR_CA", format!("{leads}, which no enrollment group names"))
            .fact("uploaded as", authority.name.clone())
            .fact("CA certificate", authority.subject.clone())
            .command(
                "make a group of it",
                format!(
                    "muster enrollment-group create --enrollment-id NEW-GROUP --root-ca-name {}",
                    word(&authority.name)
                ),
            );
    } else {
        findings
            .add("X509_NO_VERIFIED_ANCHOR", format!("{leads}, which is not verified and in no enrollment group"))
            .fact("uploaded as", authority.name.clone())
            .fact("CA certificate", authority.subject.clone())
            .command(
                "get a code for it, sign a certificate with that common name, and send it",
                format!(
                    "muster certificate generate-verification-code --certificate-name {0} && muster certificate \
                     verify --certificate-name {0} --path PROOF.pem",
                    word(&authority.name)
                ),
            );
    }
}

fn is(authority: &Authority, certificate: &CertificateSummary) -> bool {
    authority.subject == certificate.subject && authority.key == certificate.subject_key_id
}

/// A group's certificate has the name that the chain asks for, and another key.
fn reissued(known: &Known, top: &CertificateSummary, findings: &mut Findings) {
    let same_name = |signer: &&Signer| signer.subject == top.issuer && signer.key != top.authority_key_id;
    for signer in known.signers.iter().filter(same_name) {
        findings
            .add(
                "X509_SIGNER_REISSUED",
                format!(
                    "{} was issued by {} with another key than the certificate of that name in enrollment group {}",
                    top.subject, signer.subject, signer.group
                ),
            )
            .fact("key that the chain asks for", top.authority_key_id.clone().unwrap_or_default())
            .fact("enrolled key", signer.key.clone().unwrap_or_default())
            .command(
                "enroll the new CA certificate as secondary",
                format!(
                    "muster enrollment-group update --enrollment-id {} --secondary-certificate-path CA.pem",
                    word(&signer.group)
                ),
            );
    }
}

/// Which group let a chain in, and why others did not.
pub(super) fn matched(attempt: &AttemptRecord, enrollment: &Enrollment, findings: &mut Findings) {
    let passed: Vec<String> = attempt
        .candidates
        .iter()
        .map(|candidate| format!("not {}: {}", candidate.enrollment.id, candidate.detail))
        .collect();
    let mut found = findings
        .add("ATTESTED", format!("let in by {}; {}", enrollment.id, passed.join("; ")))
        .fact(enrollment.kind, enrollment.id.clone());
    for certificate in attempt.chain.iter().take(3) {
        found = found.fact("presented", certificate.subject.clone());
    }
}
