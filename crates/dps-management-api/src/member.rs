//! A JSON body, member by member: what is absent, what has the wrong type, and where it stands. Owns the sentences that
//! name a member; they never repeat its value, which may be a key. A `null` counts as absent, as the SDKs send it.

use dps_model::Error;
use serde_json::Value;

/// One value of a body, or its absence, and the path to it.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    value: Option<&'a Value>,
    path: String,
}

impl<'a> Member<'a> {
    /// The whole body, which must be an object.
    pub(crate) fn body(value: &'a Value) -> Result<Self, Error> {
        let body = Self { value: Some(value), path: String::new() };
        if value.is_object() { Ok(body) } else { Err(body.wrong("is no JSON object")) }
    }

    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value: self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null()), path }
    }

    /// Neither absent nor empty.
    pub(crate) fn holds_something(&self) -> bool {
        match self.value {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            value => value.is_some(),
        }
    }

    /// Itself, when it is there; it must be an object then.
    pub(crate) fn object(&self) -> Result<Option<&Self>, Error> {
        match self.value {
            None => Ok(None),
            Some(Value::Object(_)) => Ok(Some(self)),
            Some(_) => Err(self.wrong("must be an object")),
        }
    }

    pub(crate) fn text(&self) -> Result<Option<&'a str>, Error> {
        self.value.map(|value| value.as_str().ok_or_else(|| self.wrong("must be a text"))).transpose()
    }

    /// A text that must be there.
    pub(crate) fn required(&self) -> Result<&'a str, Error> {
        self.text()?.map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| self.wrong("is required"))
    }

    pub(crate) fn integer(&self) -> Result<Option<i64>, Error> {
        self.value.map(|value| value.as_i64().ok_or_else(|| self.wrong("must be a whole number"))).transpose()
    }

    pub(crate) fn boolean(&self) -> Result<Option<bool>, Error> {
        self.value.map(|value| value.as_bool().ok_or_else(|| self.wrong("must be true or false"))).transpose()
    }

    /// The items of a list of at most that many.
    pub(crate) fn list(&self, most: usize) -> Result<Option<Vec<Self>>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.wrong("must be a list"))?;
        if items.len() > most {
            return Err(self.wrong(&format!("has {} items; at most {most} are allowed", items.len())));
        }
        let item = |(place, value): (usize, &'a Value)| {
            let item = Self { value: Some(value), path: format!("{}[{place}]", self.path) };
            if value.is_object() { Ok(item) } else { Err(item.wrong("must be an object")) }
        };
        items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Some)
    }

    /// Names and values of an object of at most that many members.
    pub(crate) fn entries(&self, most: usize) -> Result<Option<Vec<(&'a str, Self)>>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| self.wrong("must be an object"))?;
        if members.len() > most {
            return Err(self.wrong(&format!("has {} members; at most {most} are allowed", members.len())));
        }
        Ok(Some(members.keys().map(|name| (name.as_str(), self.get(name))).collect()))
    }

    /// What is wrong with it. ARM's clients find the path as the error's `target` too.
    pub(crate) fn wrong(&self, rule: &str) -> Error {
        let path = if self.path.is_empty() { "The request body" } else { &self.path };
        let mut error = Error::argument(format!("{path} {rule}."));
        if !self.path.is_empty() {
            error.info.insert(TARGET.to_owned(), self.path.chars().take(LONGEST_PATH).collect());
        }
        error
    }
}

/// Name under which an error keeps the path.
pub(crate) const TARGET: &str = "target";
/// A path holds names of members that a client chose (tags).
const LONGEST_PATH: usize = dps_model::limits::MAX_EVENT_TEXT;

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
    }
}
