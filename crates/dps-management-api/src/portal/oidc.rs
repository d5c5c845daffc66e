//! The browser's way to an identity provider and back. Owns the redirects and the page of a failure; what proves somebody is
//! dps-access's.

use dps_access::{Opened, Returned, without_port};
use dps_events::Outcome;
use dps_model::limits::MAX_EVENT_TEXT;
use dps_model::{Error, ErrorCode};
use http::StatusCode;
use http::header::HeaderValue;
use http::request::Parts;

use super::session::{SIGN_IN, given, is_secure};
use super::{PortalApi, Reply, cookie};
use crate::call::{Call, kept};
use crate::request;

impl PortalApi {
    /// Sends the browser to the provider of that number.
    pub(super) async fn leave(&self, number: usize, head: &Parts) -> Reply {
        let begun = self.access.begin_sign_in(number, &back_to(head), self.clock.now()).await;
        let begun = begun.and_then(|begun| {
            let text = std::str::from_utf8(begun.kept.expose()).map_err(Error::internal)?;
            let cookie = cookie::kept(text, is_secure(head));
            let cookie = cookie.ok_or_else(|| Error::internal("what is kept of a sign-in is no cookie"))?;
            Ok((HeaderValue::from_str(&begun.url).map_err(Error::internal)?, cookie))
        });
        match begun {
            Ok((location, cookie)) => {
                let location = Some(location);
                Reply { location, cookies: vec![cookie], ..Reply::bare(StatusCode::FOUND) }
            }
            Err(error) => {
                // The way there is no event; that there is none is.
                let mut call = self.opened_call(head);
                call.record.operation = SIGN_IN;
                call.close(Outcome::failed(&error));
                refused(&error)
            }
        }
    }

    /// Takes what the browser came back with.
    pub(super) async fn back(&self, head: &Parts, call: &mut Call) -> Result<Reply, Error> {
        call.record.operation = SIGN_IN;
        let instance = self.instances.by_host(without_port(&request::host(head)));
        call.record.resource_id = Some(kept(&instance.resource_id));
        let (peer, now) = (call.record.peer.ip(), call.time());
        let sessions = self.access.sessions()?;
        sessions.attempt(peer, now)?;
        let opened = self.judged(head, call).await;
        if opened.is_ok() || opened.as_ref().is_err_and(|error| error.code == ErrorCode::Unavailable) {
            sessions.forgive(peer, now);
        }
        let cookies = vec![given(head, &opened?, call)?, cookie::forgotten()];
        let location = Some(HeaderValue::from_static("/portal/"));
        Ok(Reply { cookies, location, ..Reply::bare(StatusCode::FOUND) })
    }

    async fn judged(&self, head: &Parts, call: &Call) -> Result<Opened, Error> {
        let parameter = |name: &str| request::parameter(head, name).unwrap_or_default();
        if let Some(error) = request::parameter(head, "error") {
            let said: String = error.chars().filter(|c| !c.is_control()).take(MAX_EVENT_TEXT).collect();
            return Err(Error::new(ErrorCode::Unauthorized)
                .because(format!("SIGN_IN_REFUSED: the identity provider said {said:?}")));
        }
        let returned = Returned {
            kept: cookie::sign_in(&head.headers).unwrap_or_default(),
            code: &parameter("code"),
            state: &parameter("state"),
            redirect_uri: &back_to(head),
        };
        self.access.finish_sign_in(&returned, call.time()).await
    }
}

/// Where the provider sends the browser back to: it knows the addresses that are ours.
fn back_to(head: &Parts) -> String {
    let scheme = if is_secure(head) { "https" } else { "http" };
    format!("{scheme}://{}/portal/oidc/callback", request::host(head))
}

/// The page of a sign-in that came to nothing; the reason is in the log alone.
pub(super) fn refused(error: &Error) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let why = match error.code {
        ErrorCode::Unavailable => "The identity provider does not answer; try again later.",
        ErrorCode::Throttled => "Too many attempts to sign in failed; wait five minutes and try again.",
        _ => "Whoever runs this server finds the reason in its activity log.",
    };
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>Muster</title><h1>Signing in did not succeed</h1><p>{why}\
         <p><a href=\"/portal/\">Try again</a>"
    );
    Reply { page: Some(page), cookies: vec![cookie::forgotten()], ..Reply::bare(status) }
}
