//! `x-ms-continuation`: where a query goes on. A token is bound to the provisioning service, the rows and the text of
//! its query, so that one of another query, or one that was cut or changed on its way, is refused and never begins
//! somewhere else. It tells nobody anything that its holder could not read anyway, and is no secret.

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_model::Error;
use dps_model::limits::MAX_CONTINUATION;

/// First byte of a token: its form.
const FORM: u8 = 1;
/// Bytes of the digest that a token keeps.
const DIGEST: usize = 16;

/// The query that a token belongs to.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// Name of the provisioning service.
    pub instance: &'a str,
    /// What its rows are, `x-ms-item-type`.
    pub item_type: &'a str,
    /// Whose rows: the group of registrations, else empty.
    pub owner: &'a str,
    /// Its text.
    pub query: &'a str,
}

impl Bound<'_> {
    /// The token that goes on behind that id.
    pub fn token(&self, after: &str) -> String {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&self.digest(after.as_bytes()));
        bytes.extend_from_slice(after.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The id that a token goes on behind. Errors: `ArgumentInvalid` for a token that was not made for this query.
    pub fn read(&self, token: &str) -> Result<String, Error> {
        self.after(token).ok_or_else(|| {
            Error::argument(
                "x-ms-continuation does not belong to this query of this provisioning service: send it as it came, \
                 with the same query, or leave it out to begin anew.",
            )
        })
    }

    fn after(&self, token: &str) -> Option<String> {
        if token.len() > MAX_CONTINUATION {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (form, rest) = bytes.split_first()?;
        let (digest, after) = rest.split_at_checked(DIGEST)?;
        let ours = *form == FORM && *digest == self.digest(after);
        if ours { String::from_utf8(after.to_vec()).ok() } else { None }
    }

    fn digest(&self, after: &[u8]) -> [u8; DIGEST] {
        let mut context = Context::new(&SHA256);
        let parts = [self.instance, self.item_type, self.owner, self.query].map(str::as_bytes);
        for part in parts.into_iter().chain([after]) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; DIGEST];
        digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;

    const HOME: Bound<'_> = Bound { instance: "a", item_type: "Enrollment", owner: "", query: "SELECT *" };

    #[test]
    fn token_read_by_its_own_query_alone() {
        let token = HOME.token("dev-1");
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_eq!(HOME.read(&token).unwrap(), "dev-1");
        for other in [
            Bound { instance: "b", ..HOME },
            Bound { item_type: "EnrollmentGroup", ..HOME },
            Bound { owner: "g", ..HOME },
            Bound { query: "SELECT * ", ..HOME },
            Bound { instance: "aEnrollment", item_type: "", ..HOME },
        ] {
            assert_eq!(other.read(&token).unwrap_err().code.row().code, 400_004);
        }
    }

    #[test]
    fn token_changed_anywhere_refused() {
        let token = HOME.token("dev-1");
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(HOME.read(std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
            assert!(HOME.read(&token[..at]).is_err(), "{at}");
        }
        for text in ["", "=", "AQ", "é", "W3sidG9rZW4iOiIrUklEOn4ifV0=", &"A".repeat(4096)] {
            assert!(HOME.read(text).is_err(), "{text}");
        }
    }
}
