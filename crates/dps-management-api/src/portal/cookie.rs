//! The portal's cookie, read and written, and whether a request comes from the portal's own pages. Must not know sessions.

use dps_access::SESSION_PREFIX;
use dps_model::limits::{MAX_PORTAL_COOKIE, SIGN_IN_TIME};
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;

use crate::request;

/// Its name.
const NAME: &str = "muster_session";
/// What the pages send with every call, and no other site can.
const OWN_PAGE: HeaderName = HeaderName::from_static("x-muster-portal");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What a browser keeps while its owner signs in at an identity provider.
const SIGN_IN: &str = "muster_sign_in";

/// The id in the request's cookies.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    value(headers, NAME)
}

/// What is kept of a sign-in that is under way.
pub(super) fn sign_in(headers: &HeaderMap) -> Option<&str> {
    value(headers, SIGN_IN)
}

fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ids = pairs.filter(|(name, _)| *name == wanted).map(|(_, id)| id);
    ids.find(|id| (1..=MAX_PORTAL_COOKIE).contains(&id.len()) && id.bytes().all(is_of_an_id))
}

fn is_of_an_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The credential that the cookie stands for.
pub(super) fn credential(id: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {SESSION_PREFIX}{id}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sets the cookie, until the browser is closed.
pub(super) fn given(id: &str, secure: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{NAME}={id}; {}", attributes(secure))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Takes it away.
pub(super) fn taken(secure: bool) -> HeaderValue {
    let text = format!("{NAME}=; Max-Age=0; {}", attributes(secure));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("muster_session=; Max-Age=0; Path=/"))
}

/// Keeps a sign-in that is under way: Lax, since the provider's page leads back here.
pub(super) fn kept(text: &str, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!(
        "{SIGN_IN}={text}; Max-Age={SIGN_IN_TIME}; Path=/portal/oidc; HttpOnly; SameSite=Lax{secure}"
    );
    let mut value = HeaderValue::from_str(&cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Forgets it.
pub(super) fn forgotten() -> HeaderValue {
    HeaderValue::from_static("muster_sign_in=; Max-Age=0; Path=/portal/oidc; HttpOnly; SameSite=Lax")
}

fn attributes(secure: bool) -> &'static str {
    if secure { "Path=/; HttpOnly; SameSite=Strict; Secure" } else { "Path=/; HttpOnly; SameSite=Strict" }
}

/// Does a page of this very origin ask? Only one can send the header; what the browser says besides must fit.
pub(super) fn is_of_own_page(head: &Parts) -> bool {
    head.headers.get(OWN_PAGE).is_some_and(|value| value == "1") && !is_of_another_site(head)
}

/// Does the browser say that another site asks?
pub(super) fn is_of_another_site(head: &Parts) -> bool {
    let site = head.headers.get(FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let host = request::host(head);
    head.headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let named = ["https://", "http://"].iter().find_map(|scheme| origin.strip_prefix(scheme));
        !named.is_some_and(|named| named.eq_ignore_ascii_case(&host))
    })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::request::Parts;

    use super::{is_of_another_site, is_of_own_page, session};

    fn head(pairs: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/portal/session").header("host", "dps.test:8443");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn cookie_found_among_others_and_nothing_that_cannot_be_an_id() {
        let long = "a".repeat(65);
        for (cookies, id) in [
            (&["muster_session=abc-_1"][..], Some("abc-_1")),
            (&["a=b; muster_session=abc; c=d"], Some("abc")),
            (&["a=b", "c=d;muster_session=abc"], Some("abc")),
            (&["muster_session=; muster_session=abc"], Some("abc")),
            (&["xmuster_session=abc"], None),
            (&["Muster_Session=abc"], None),
            (&["muster_session"], None),
            (&["muster_session=a b"], None),
            (&["muster_session=\"abc\""], None),
            (&["muster_session=a\u{e9}"], None),
            (&[&format!("muster_session={long}")], None),
        ] {
            let pairs: Vec<(&str, &str)> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
            assert_eq!(session(&head(&pairs).headers), id, "{cookies:?}");
        }
    }

    #[test]
    fn request_of_another_site_told_by_what_the_browser_says() {
        for (pairs, other) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://dps.test:8443")], false),
            (&[("origin", "https://DPS.test:8443")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "https://evil.test")], true),
            (&[("origin", "https://dps.test")], true),
            (&[("origin", "https://dps.test:8443.evil.test")], true),
            (&[("origin", "null")], true),
        ] {
            assert_eq!(is_of_another_site(&head(pairs)), other, "{pairs:?}");
            assert!(!is_of_own_page(&head(pairs)), "{pairs:?}: without the header");
            let with = [pairs, &[("x-muster-portal", "1")]].concat();
            assert_eq!(is_of_own_page(&head(&with)), !other, "{pairs:?}");
        }
    }
}
