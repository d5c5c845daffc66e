//! What a client certificate says of its device before the core judges it: the common name is the registration id.
//! Shared by the fronts that refuse at the connection; must not know trust or enrollments.

use dps_model::{Error, ErrorCode, TlsSession, limits};

/// Refuses a leaf of another name than this device's. A connection without a certificate passes.
pub(crate) fn names(tls: &TlsSession, registration_id: &str) -> Result<(), Error> {
    let Some(leaf) = tls.chain.first() else { return Ok(()) };
    match common_name(leaf) {
        Some(common_name) if common_name.eq_ignore_ascii_case(registration_id) => Ok(()),
        Some(common_name) => Err(Error::new(ErrorCode::CertificateRejected)
            .because(format!("the certificate's common name {common_name:?} is not the registration id"))),
        None => {
            Err(Error::new(ErrorCode::CertificateRejected)
                .because("the certificate has no readable common name"))
        }
    }
}

/// The last common name of a certificate's subject.
fn common_name(der: &[u8]) -> Option<String> {
    if der.len() > limits::MAX_CERTIFICATE {
        return None;
    }
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    certificate.subject().iter_common_name().last()?.as_str().ok().map(ToOwned::to_owned)
}
