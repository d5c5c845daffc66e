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

/// The error with its causes. The URL must have been taken out before.
pub(crate) fn why(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let chain: Vec<String> = causes.map(ToString::to_string).collect();
    format!("{error} ({})", chain.join(": "))
}
