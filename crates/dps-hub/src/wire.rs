//! What both clients do with an answer, and with the want of one. Must not know what is asked.

use std::error::Error;

use reqwest::Response;

/// Reads a body; `None` when it is larger than that.
pub(crate) async fn within(response: &mut Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The stage that failed, and the error with its causes. The URL must have been taken out before.
pub(crate) fn why(error: &reqwest::Error) -> String {
    let chain: Vec<String> = causes(error).map(ToString::to_string).collect();
    format!("{}: {error} ({})", stage(error), chain.join("; "))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// How far a request came: the name, the connection, its TLS, the answer.
fn stage(error: &reqwest::Error) -> &'static str {
    if !error.is_connect() {
        return "HTTP";
    }
    if causes(error).any(is_tls) {
        return "TLS";
    }
    let of_dns = causes(error).any(|cause| cause.to_string().contains("dns error"));
    if of_dns { "DNS" } else { "TCP" }
}

/// A failed handshake arrives within errors of I/O, one in the other; each keeps what it is about out of its sources.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    if cause.is::<rustls::Error>() {
        return true;
    }
    let within = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    within.is_some_and(|within| is_tls(within))
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::is_tls;

    #[test]
    fn handshake_is_found_within_errors_of_io() {
        let handshake = rustls::Error::NoCertificatesPresented;
        assert!(is_tls(&handshake));
        assert!(is_tls(&Error::other(Error::other(handshake))));
        assert!(!is_tls(&Error::other(Error::other("refused"))));
        assert!(!is_tls(&Error::from_raw_os_error(111)));
    }
}
