//! Who a server shows itself to be, and why it is not believed: the chain, and one sentence of what is wrong with what to do.
//! Pure. Must not know how the chain came here.

use dps_model::Timestamp;
use rustls::CertificateError as Why;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, X509Name};

use super::limits::{MAX_CHAIN, MAX_NAMES, MAX_TEXT};
use super::report::{Check, plain};

/// Where roots are to be had, by a part of their name.
const ROOTS: [(&str, &str); 4] = [
    ("DigiCert Global Root G2", "https://cacerts.digicert.com/DigiCertGlobalRootG2.crt.pem"),
    ("DigiCert Global Root G3", "https://cacerts.digicert.com/DigiCertGlobalRootG3.crt.pem"),
    (
        "Microsoft RSA Root Certificate Authority 2017",
        "https://www.microsoft.com/pkiops/certs/Microsoft%20RSA%20Root%20Certificate%20Authority%202017.crt",
    ),
    (
        "Microsoft ECC Root Certificate Authority 2017",
        "https://www.microsoft.com/pkiops/certs/Microsoft%20ECC%20Root%20Certificate%20Authority%202017.crt",
    ),
];
/// Who signs for Azure's own host names.
const SIGNERS_OF_AZURE: [&str; 3] = ["DigiCert", "Microsoft", "Baltimore"];
const AZURE: [&str; 3] =
    [".azure-devices-provisioning.net", ".azure-devices.net", ".azure-devices-provisioning.us"];

/// A certificate, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Which names it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What a server showed, and what verification said.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its certificates, its own first.
    pub chain: Vec<Link>,
    /// None when it is believed.
    pub refused: Option<rustls::Error>,
}

/// The certificates that can be read.
pub fn links(chain: &[CertificateDer<'_>]) -> Vec<Link> {
    let read = |der: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let at = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_millis(time.timestamp().saturating_mul(1_000))
        };
        Some(Link {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            not_before: at(validity.not_before),
            not_after: at(validity.not_after),
            names: names(&certificate),
        })
    };
    chain.iter().take(MAX_CHAIN).filter_map(read).collect()
}

fn name(name: &X509Name<'_>) -> String {
    plain(&name.to_string()).chars().take(MAX_TEXT).collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let known = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(plain(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|it| std::net::IpAddr::from(it).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|it| std::net::IpAddr::from(it).to_string()),
        },
        _ => None,
    });
    known.take(MAX_NAMES).collect()
}

/// What to say of a server. `own_roots` are those of a file that was given, `now` is this machine's time.
pub fn judge(shown: &Shown, host: &str, target: &str, own_roots: bool, now: Timestamp) -> Check {
    let step = "certificate";
    let Some(leaf) = shown.chain.first() else {
        return Check::failed(step, target, "no certificate that can be read was shown", FOREIGN);
    };
    let Some(error) = &shown.refused else {
        let found = format!("{}, signed by {}, until {}", leaf.subject, leaf.issuer, day(leaf.not_after));
        return Check { chain: shown.chain.clone(), ..Check::ok(step, target, found) };
    };
    let (found, advice) = match error {
        rustls::Error::InvalidCertificate(why) => reason(why, shown, leaf, host, own_roots, now),
        other => (other.to_string(), FOREIGN.to_owned()),
    };
    Check { chain: shown.chain.clone(), ..Check::failed(step, target, found, advice) }
}

const FOREIGN: &str = "ask who runs the network whether a proxy or a firewall opens TLS on the way, and have this host \
     exempted";

fn reason(
    why: &Why,
    shown: &Shown,
    leaf: &Link,
    host: &str,
    own_roots: bool,
    now: Timestamp,
) -> (String, String) {
    match why {
        Why::Expired | Why::ExpiredContext { .. } => {
            let ended = shown.chain.iter().find(|link| link.not_after < now).unwrap_or(leaf);
            let found = format!(
                "the certificate of {} ended on {}, and this machine's clock says {}",
                ended.subject,
                day(ended.not_after),
                day(now)
            );
            (found, "if the clock is right, whoever runs the server renews the certificate; else set the clock (NTP)".to_owned())
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            let early = shown.chain.iter().find(|link| link.not_before > now).unwrap_or(leaf);
            let found = format!(
                "the certificate of {} begins on {}, and this machine's clock says {}",
                early.subject,
                day(early.not_before),
                day(now)
            );
            (
                found,
                "set this machine's clock (NTP) before devices connect: it is very likely behind".to_owned(),
            )
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            let names = if leaf.names.is_empty() { "no name".to_owned() } else { leaf.names.join(", ") };
            let advice = "use a name that the certificate has, or let whoever runs the server add this one (muster dev: \
                          --host); with a name of somebody else, DNS or a proxy leads to another server";
            (format!("the certificate is for {names}, not for {host}"), advice.to_owned())
        }
        Why::UnknownIssuer => unknown_issuer(shown, leaf, host, own_roots),
        other => (format!("the certificate is not accepted: {other}"), FOREIGN.to_owned()),
    }
}

fn unknown_issuer(shown: &Shown, leaf: &Link, host: &str, own_roots: bool) -> (String, String) {
    let last = shown.chain.last().unwrap_or(leaf);
    let root = &last.issuer;
    let is_azure = AZURE.iter().any(|end| host.to_ascii_lowercase().ends_with(end));
    if is_azure && !SIGNERS_OF_AZURE.iter().any(|signer| root.contains(signer)) {
        let found = format!(
            "a stranger answers for {host}: the certificate is signed by {root}, who does not sign for Azure"
        );
        let advice = format!("{FOREIGN}; or trust its root on the devices, if it must be");
        return (found, advice);
    }
    let found = if last.subject == last.issuer {
        format!("the root {root} is not trusted here")
    } else {
        format!("the root {root} is missing here, and the server did not send it")
    };
    let known = ROOTS.iter().find(|(name, _)| root.contains(name));
    let advice = match known {
        Some((_, url)) => format!("install that root on the device: {url}"),
        None if own_roots => {
            "the file of trusted roots has another one: take that of this service (muster dev: ca.pem in its data \
             directory). If the service's own certificate is by somebody else, a proxy on the way opens TLS"
                .to_owned()
        }
        None => format!(
            "a private CA: give its root with --ca (muster dev: ca.pem in its data directory) and put it on the devices. If \
             the service's certificate is by somebody else: {FOREIGN}"
        ),
    };
    (found, advice)
}

fn day(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
