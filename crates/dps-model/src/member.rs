//! A JSON body, member by member: what is absent, what has the wrong type, and where it stands. Owns the sentences that
//! name a member; they never repeat its value, which may be a key. A `null` counts as absent, as the SDKs send it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::json::read_value;
use crate::limits::{MAX_EVENT_TEXT, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS};

/// One value of a body, or its absence, and the path to it.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    value: Option<&'a Value>,
    path: String,
}

impl<'a> Member<'a> {
    /// The whole body, which must be an object.
    pub fn body(value: &'a Value) -> Result<Self, Error> {
        let body = Self { value: Some(value), path: String::new() };
        if value.is_object() { Ok(body) } else { Err(body.wrong("is no JSON object")) }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value: self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null()), path }
    }

    /// Neither absent nor empty.
    pub fn holds_something(&self) -> bool {
        match self.value {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            value => value.is_some(),
        }
    }

    /// Is it a list?
    pub fn is_list(&self) -> bool {
        self.value.is_some_and(Value::is_array)
    }

    /// Itself, when it is there; it must be an object then.
    pub fn object(&self) -> Result<Option<&Self>, Error> {
        match self.value {
            None => Ok(None),
            Some(Value::Object(_)) => Ok(Some(self)),
            Some(_) => Err(self.wrong("must be an object")),
        }
    }

    /// A text, when it is there.
    pub fn text(&self) -> Result<Option<&'a str>, Error> {
        self.value.map(|value| value.as_str().ok_or_else(|| self.wrong("must be a text"))).transpose()
    }

    /// A text that must be there.
    pub fn required(&self) -> Result<&'a str, Error> {
        self.text()?.map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| self.wrong("is required"))
    }

    /// A whole number, when it is there.
    pub fn integer(&self) -> Result<Option<i64>, Error> {
        self.value.map(|value| value.as_i64().ok_or_else(|| self.wrong("must be a whole number"))).transpose()
    }

    /// A number, when it is there.
    pub fn number(&self) -> Result<Option<f64>, Error> {
        self.value.map(|value| value.as_f64().ok_or_else(|| self.wrong("must be a number"))).transpose()
    }

    /// True or false, when it is there.
    pub fn boolean(&self) -> Result<Option<bool>, Error> {
        self.value.map(|value| value.as_bool().ok_or_else(|| self.wrong("must be true or false"))).transpose()
    }

    /// The objects of a list of at most that many.
    pub fn list(&self, most: usize) -> Result<Option<Vec<Self>>, Error> {
        let Some(items) = self.items(most)? else { return Ok(None) };
        match items.iter().find(|item| !item.value.is_some_and(Value::is_object)) {
            Some(other) => Err(other.wrong("must be an object")),
            None => Ok(Some(items)),
        }
    }

    fn items(&self, most: usize) -> Result<Option<Vec<Self>>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.wrong("must be a list"))?;
        if items.len() > most {
            return Err(self.wrong(&format!("has {} items; at most {most} are allowed", items.len())));
        }
        let item = |(place, value)| Self { value: Some(value), path: format!("{}[{place}]", self.path) };
        Ok(Some(items.iter().enumerate().map(item).collect()))
    }

    /// The texts of a list of at most that many, each with its place.
    pub fn texts(&self, most: usize) -> Result<Option<Vec<(&'a str, Self)>>, Error> {
        let Some(items) = self.items(most)? else { return Ok(None) };
        let text = |item: Self| match item.value.and_then(Value::as_str) {
            Some(text) => Ok((text, item)),
            None => Err(item.wrong("must be a text")),
        };
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// Names and values of an object of at most that many members.
    pub fn entries(&self, most: usize) -> Result<Option<Vec<(&'a str, Self)>>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| self.wrong("must be an object"))?;
        if members.len() > most {
            return Err(self.wrong(&format!("has {} members; at most {most} are allowed", members.len())));
        }
        Ok(Some(members.keys().map(|name| (name.as_str(), self.get(name))).collect()))
    }

    /// A text of a closed list, in any case, when it is there.
    pub fn one_of<T: Copy>(&self, texts: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(given) = self.text()? else { return Ok(None) };
        let found = texts.iter().find(|(text, _)| text.eq_ignore_ascii_case(given.trim()));
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let legal: Vec<_> = texts.iter().map(|(text, _)| *text).collect();
            self.wrong(&format!("must be {}", legal.join(" or ")))
        })
    }

    /// Refuses a member that is none of these: one that is misspelt would be left out in silence.
    pub fn only(&self, names: &[&str]) -> Result<(), Error> {
        let members = self.value.and_then(Value::as_object).into_iter().flat_map(|members| members.keys());
        for name in members {
            if !names.contains(&name.as_str()) {
                let name: String = name.chars().take(MAX_TAG_NAME).collect();
                return Err(self.wrong(&format!("has no member {name:?}; it has {}", names.join(", "))));
            }
        }
        Ok(())
    }

    /// What is of a type's own shape, when it is there.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.value.map(|value| read_value(value.clone(), &self.path)).transpose()
    }

    /// Any JSON, when it is there.
    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// `tags` of a resource, when they are there.
    pub fn tags(&self) -> Result<Option<BTreeMap<String, String>>, Error> {
        let Some(entries) = self.entries(MAX_TAGS)? else { return Ok(None) };
        let mut tags = BTreeMap::new();
        for (name, value) in entries {
            if name.is_empty() || name.chars().count() > MAX_TAG_NAME {
                return Err(self.wrong(&format!("has a name of no or more than {MAX_TAG_NAME} characters")));
            }
            let text = value.text()?.unwrap_or_default();
            if text.chars().count() > MAX_TAG_VALUE {
                return Err(value.wrong(&format!("has more than {MAX_TAG_VALUE} characters")));
            }
            tags.insert(name.to_owned(), text.to_owned());
        }
        Ok(Some(tags))
    }

    /// What is wrong with it. ARM's clients find the path as the error's `target` too.
    pub fn wrong(&self, rule: &str) -> Error {
        let path = if self.path.is_empty() { "The request body" } else { &self.path };
        let mut error = Error::argument(format!("{path} {rule}."));
        if !self.path.is_empty() {
            error.info.insert(TARGET.to_owned(), self.path.chars().take(LONGEST_PATH).collect());
        }
        error
    }
}

/// Name under which an error keeps the path to the member that is wrong.
pub const TARGET: &str = "target";
/// A path holds names of members that a client chose (tags).
const LONGEST_PATH: usize = MAX_EVENT_TEXT;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Member;

    #[test]
    fn wrong_member_is_named_with_its_path_and_not_its_value() {
        let value = json!({"a": {"list": [{"key": 7}, "secret"], "none": null}});
        let body = Member::body(&value).unwrap();
        let list = body.get("a").get("list");
        assert_eq!(list.list(1).unwrap_err().message, "a.list has 2 items; at most 1 are allowed.");
        let second = list.list(2).unwrap_err();
        assert_eq!(
            (second.message.as_ref(), second.info["target"].as_str()),
            ("a.list[1] must be an object.", "a.list[1]")
        );
        assert!(!body.get("a").get("none").holds_something());
        assert_eq!(body.get("a").text().unwrap_err().message, "a must be a text.");
        assert_eq!(body.get("b").required().unwrap_err().message, "b is required.");
        assert!(Member::body(&json!([])).is_err());
        let texts = json!({"t": ["a", 1], "n": "1", "c": "red"});
        let body = Member::body(&texts).unwrap();
        assert_eq!(body.get("t").texts(2).unwrap_err().message, "t[1] must be a text.");
        assert_eq!(body.get("n").number().unwrap_err().message, "n must be a number.");
        let colours = [("Green", 1), ("Blue", 2)];
        assert_eq!(body.get("c").one_of(&colours).unwrap_err().message, "c must be Green or Blue.");
        let blue = json!({"c": "BLUE"});
        assert_eq!(Member::body(&blue).unwrap().get("c").one_of(&colours).unwrap(), Some(2));
    }
}
