//! SAS tokens for linked hubs, made when needed and kept until they near their end. Must not know requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dps_attestation::SasToken;
use dps_model::connection_string::ConnectionString;
use dps_model::limits::{HUB_TOKEN_LIFETIME, HUB_TOKEN_RENEWAL, MAX_HUB_TOKENS};
use dps_model::{Secret, Timestamp};

struct Token {
    key: Secret,
    expiry: i64,
    text: String,
}

/// Host and policy.
type Opens = (String, String);

/// The tokens at hand.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<Opens, Token>>);

impl Tokens {
    /// A token that opens this hub. A changed key makes a new one at once.
    pub(crate) fn token(&self, link: &ConnectionString, now: Timestamp) -> String {
        let opens = (link.host.clone(), link.policy.clone());
        // A token is put in whole: a panic elsewhere leaves the map as good as before.
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(&opens)
            && token.key == link.key
            && token.expiry - now.seconds() > HUB_TOKEN_RENEWAL
            // A clock that was set back must not leave a token that lives too long.
            && token.expiry - now.seconds() <= HUB_TOKEN_LIFETIME
        {
            return token.text.clone();
        }
        if tokens.len() >= MAX_HUB_TOKENS {
            tokens.clear();
        }
        let expiry = now.seconds().saturating_add(HUB_TOKEN_LIFETIME);
        let text = SasToken::sign(&link.host, &link.key, expiry, Some(&link.policy));
        tokens.insert(opens, Token { key: link.key.clone(), expiry, text: text.clone() });
        text
    }
}

#[cfg(test)]
mod tests {
    use dps_attestation::SasToken;
    use dps_model::connection_string::ConnectionString;
    use dps_model::limits::{HUB_TOKEN_LIFETIME, HUB_TOKEN_RENEWAL};
    use dps_model::{Secret, Timestamp};

    use super::Tokens;

    #[test]
    fn token_kept_until_it_nears_its_end_or_the_key_changes() {
        let tokens = Tokens::default();
        let mut link = ConnectionString {
            host: "hub.local:8443".into(),
            policy: "iothubowner".into(),
            key: Secret::new(vec![1; 32]),
        };
        let at = |seconds: i64| Timestamp::from_millis((1_700_000_000 + seconds) * 1000);
        let first = tokens.token(&link, at(0));
        assert_eq!(tokens.token(&link, at(HUB_TOKEN_LIFETIME - HUB_TOKEN_RENEWAL - 1)), first);
        let second = tokens.token(&link, at(HUB_TOKEN_LIFETIME - HUB_TOKEN_RENEWAL));
        assert_ne!(second, first);
        assert_ne!(tokens.token(&link, at(-10 * HUB_TOKEN_LIFETIME)), second);
        link.key = Secret::new(vec![2; 32]);
        let rekeyed = SasToken::parse(&tokens.token(&link, at(0))).unwrap();
        assert!(rekeyed.check([&link.key, &link.key], at(0)).is_ok());
        assert_eq!((rekeyed.resource(), rekeyed.policy()), ("hub.local:8443", Some("iothubowner")));
    }
}
