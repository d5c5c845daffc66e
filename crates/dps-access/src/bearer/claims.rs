//! The claims of a token. Owns how a claim is read and that none stands twice; must not know which are needed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

/// The claims of a token, each of them once.
#[derive(Clone)]
pub struct Claims(BTreeMap<String, Value>);

impl Claims {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The first of these claims that is a text and not empty.
    pub fn first_text(&self, names: &[&str]) -> Option<&str> {
        names.iter().filter_map(|name| self.text(name)).find(|text| !text.is_empty())
    }

    /// Is the claim that text, or a list that holds it?
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.texts(name).any(|text| text == value)
    }

    /// The texts of a claim that is one or a list of them.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let (one, many) = match self.0.get(name) {
            Some(Value::Array(many)) => (None, many.as_slice()),
            one => (one, [].as_slice()),
        };
        one.into_iter().chain(many).filter_map(Value::as_str)
    }

    /// A claim that is a time (RFC 7519 `NumericDate`: seconds, fractions allowed), if it is there.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<i64>, ()> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
        let whole =
            || value.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| seconds.floor() as i64);
        value.as_i64().or_else(whole).map(Some).ok_or(())
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Claims;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        // Whoever checked the other one saw another token (RFC 7519 §4).
                        return Err(A::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::Claims;

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn claim_text_or_list_has_its_values_to_the_letter() {
        let claims = claims(r#"{"roles":["a","B",7,null],"sub":"me","oid":5,"groups":{"a":1}}"#);
        for (name, value, has) in [
            ("roles", "a", true),
            ("roles", "b", false),
            ("roles", "7", false),
            ("sub", "me", true),
            ("sub", "m", false),
            ("oid", "5", false),
            ("groups", "a", false),
            ("absent", "", false),
        ] {
            assert_eq!(claims.has(name, value), has, "{name} {value}");
        }
    }

    #[test]
    fn claim_times_read_as_whole_seconds() {
        let claims = claims(r#"{"a":5,"b":5.9,"c":-1,"d":1e300,"e":"5","f":null,"g":18446744073709551615}"#);
        for (name, seconds) in [
            ("a", Ok(Some(5))),
            ("b", Ok(Some(5))),
            ("c", Ok(Some(-1))),
            ("d", Ok(Some(i64::MAX))),
            ("e", Err(())),
            ("f", Err(())),
            ("g", Ok(Some(i64::MAX))),
            ("none", Ok(None)),
        ] {
            assert_eq!(claims.seconds(name), seconds, "{name}");
        }
    }

    #[test]
    fn claims_with_a_name_twice_refused() {
        assert!(serde_json::from_str::<Claims>(r#"{"aud":"a","aud":"b"}"#).is_err());
        assert!(serde_json::from_str::<Claims>("[]").is_err());
    }
}
