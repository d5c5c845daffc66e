//! What a call asks: the query, its timespan, further workspaces; from a body or from parameters.

use std::borrow::Cow;

use dps_model::limits::MAX_QUERY_WORKSPACES;
use http::request::Parts;
use serde_json::Value;

use super::failure::Failure;
use crate::request::parameter;

/// A query as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) query: String,
    pub(super) timespan: Option<String>,
    pub(super) workspaces: Vec<String>,
}

impl Ask {
    /// `?query=…&timespan=…`.
    pub(super) fn of_parameters(head: &Parts) -> Result<Self, Failure> {
        // A plus is a space in forms, and in KQL it is an operator that nobody escapes twice.
        let text = |name| parameter(head, name).map(Cow::into_owned);
        Ask { query: text("query").unwrap_or_default(), timespan: text("timespan"), workspaces: Vec::new() }
            .whole()
    }

    /// `{"query", "timespan", "workspaces"}`; members that are `null` count as absent.
    pub(super) fn of_body(body: &Value) -> Result<Self, Failure> {
        let text = |name: &'static str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Failure::argument(format!("The member {name} must be a text."))),
        };
        let mut workspaces = Vec::new();
        for name in
            ["workspaces", "additionalWorkspaces", "workspaceIds", "qualifiedNames", "azureResourceIds"]
        {
            match body.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::Array(named)) => {
                    for named in named {
                        let named = named.as_str().ok_or_else(|| {
                            Failure::argument(format!("The member {name} must be a list of texts."))
                        })?;
                        workspaces.push(named.to_owned());
                    }
                }
                Some(_) => {
                    return Err(Failure::argument(format!("The member {name} must be a list of texts.")));
                }
            }
        }
        if workspaces.len() > MAX_QUERY_WORKSPACES {
            return Err(Failure::argument(format!(
                "A query names at most {MAX_QUERY_WORKSPACES} workspaces."
            )));
        }
        Ask { query: text("query")?.unwrap_or_default(), timespan: text("timespan")?, workspaces }.whole()
    }

    fn whole(self) -> Result<Self, Failure> {
        if self.query.trim().is_empty() {
            return Err(Failure::argument("The query is empty: send KQL as query.".into()));
        }
        Ok(Self { timespan: self.timespan.filter(|text| !text.trim().is_empty()), ..self })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Ask;

    #[test]
    fn body_is_read_and_what_is_wrong_with_it_named() {
        let read = Ask::of_body(&json!({"query": "T", "timespan": null, "workspaces": ["w"]})).ok().unwrap();
        assert_eq!(read, Ask { query: "T".into(), timespan: None, workspaces: vec!["w".into()] });
        for (body, told) in [
            (json!({}), "The query is empty"),
            (json!({"query": 1}), "query must be a text"),
            (json!({"query": "T", "workspaces": "w"}), "workspaces must be a list"),
            (json!({"query": "T", "workspaces": [1]}), "workspaces must be a list"),
            (json!({"query": "T", "workspaces": vec!["w"; 101]}), "at most 100"),
            (json!([]), "The query is empty"),
        ] {
            let failure = Ask::of_body(&body).err().unwrap();
            assert!(failure.error.message.contains(told), "{body}: {}", failure.error.message);
        }
    }
}
