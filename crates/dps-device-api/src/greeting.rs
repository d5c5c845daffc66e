//! What a TLS client was seen to say before its handshake failed: its name for the server, the versions that it offers, the
//! certificate that it was served, and the alert that it answered with. Must not know why a server refuses.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use dps_events::{CertificateSummary, HandshakeRecord};
use dps_model::{Timestamp, limits};
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CipherSuite};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Greeted {
    sni: Option<String>,
    offered: Vec<&'static str>,
    served: Option<Arc<CertifiedKey>>,
}

impl Greeted {
    /// Takes the client's hello, and what it will be served.
    pub(crate) fn hear(&mut self, hello: &ClientHello<'_>, served: Arc<CertifiedKey>) {
        self.sni = hello.server_name().map(bounded);
        let suites = hello.cipher_suites();
        let offers = |newest: bool| suites.iter().any(|suite| is_suite(*suite) && is_tls13(*suite) == newest);
        if offers(true) {
            self.offered.push("TLSv1.3");
        }
        if offers(false) {
            self.offered.push("TLSv1.2");
        }
        self.served = Some(served);
    }

    /// What is told of a handshake that failed with that.
    pub(crate) fn told(self, error: Option<&io::Error>) -> HandshakeRecord {
        let failure = error.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
        let alert = match failure {
            Some(rustls::Error::AlertReceived(alert)) => Some(alert_name(*alert)),
            _ => None,
        };
        let leaf = self.served.as_ref().and_then(|served| served.cert.first());
        HandshakeRecord {
            sni: self.sni,
            offered: too_old(failure).map_or(self.offered, |offered| vec![offered]),
            served: leaf.and_then(|der| summary(der)),
            alert,
        }
    }
}

/// A client that is too old is refused before its hello is given to anybody, so the failure tells what it offers. Suites
/// would not: those of TLS 1.2 are its elders' too.
fn too_old(failure: Option<&rustls::Error>) -> Option<&'static str> {
    use rustls::PeerIncompatible::{
        SignatureAlgorithmsExtensionRequired, SupportedVersionsExtensionRequired, Tls12NotOffered,
        Tls12NotOfferedOrEnabled,
    };
    let Some(rustls::Error::PeerIncompatible(why)) = failure else { return None };
    match why {
        SupportedVersionsExtensionRequired | Tls12NotOffered | Tls12NotOfferedOrEnabled => {
            Some("before TLSv1.2")
        }
        SignatureAlgorithmsExtensionRequired => Some("before TLSv1.2, or without signature_algorithms"),
        _ => None,
    }
}

/// Signals in the list of suites (RFC 5746, 7507, 8701) say nothing of a version.
fn is_suite(suite: CipherSuite) -> bool {
    let number = u16::from(suite);
    let is_grease = number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff;
    !matches!(number, 0x00ff | 0x5600) && !is_grease
}

fn is_tls13(suite: CipherSuite) -> bool {
    u16::from(suite) & 0xff00 == 0x1300
}

/// As RFC 8446 writes it.
fn alert_name(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else { return format!("alert_{}", u8::from(alert)) };
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            text.push('_');
        }
        before = letter;
        let _ = text.write_char(letter.to_ascii_lowercase()); // a String takes it
    }
    text
}

fn summary(der: &[u8]) -> Option<CertificateSummary> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let time = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1_000));
    let (subject_key_id, authority_key_id) = key_ids(&certificate);
    Some(CertificateSummary {
        subject: bounded(&certificate.subject().to_string()),
        issuer: bounded(&certificate.issuer().to_string()),
        sha256_thumbprint: upper_hex(digest(&SHA256, der).as_ref()),
        subject_key_id,
        authority_key_id,
        not_before: time(validity.not_before.timestamp()),
        not_after: time(validity.not_after.timestamp()),
    })
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<String>, Option<String>) {
    let mut ids = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => ids.0 = Some(upper_hex(id.0)),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                ids.1 = id.key_identifier.as_ref().map(|id| upper_hex(id.0));
            }
            _ => {}
        }
    }
    ids
}

fn upper_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02X}"); // a String takes it
    }
    text
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(limits::MAX_EVENT_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::alert_name;

    #[test]
    fn alert_is_named_as_the_standard_does() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::CertificateUnknown, "certificate_unknown"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnknownPSKIdentity, "unknown_pskidentity"),
            (AlertDescription::Unknown(200), "alert_200"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }
}
