//! Queries of the built-in workspace, as a client of the Log Analytics API asks them.

use std::collections::HashMap;
use std::io;

use serde_json::{Value, json};

use super::http::{Answer, Http};
use super::tls;

/// The workspace of a server, asked by whoever holds its token.
#[derive(Clone)]
pub struct Logs {
    path: String,
    bearer: String,
}

impl Logs {
    pub fn of(env: &HashMap<String, String>) -> Self {
        Self::at(&env["MUSTER_WORKSPACE_ID"], &env["MUSTER_BEARER_TOKEN"])
    }

    /// The workspace of that id or name.
    pub fn at(workspace: &str, token: &str) -> Self {
        let path = format!("/v1/workspaces/{workspace}/query");
        Self { path, bearer: format!("Bearer {token}") }
    }

    /// The answer to a query.
    pub async fn ask(&self, http: &mut Http<tls::Stream>, query: &str) -> io::Result<Answer> {
        let body = json!({"query": query, "timespan": "PT1H"}).to_string();
        http.ask("POST", &self.path, &[("Authorization", &self.bearer)], Some(body.as_bytes())).await
    }

    /// The rows of a query that is right.
    pub async fn rows(&self, http: &mut Http<tls::Stream>, query: &str) -> io::Result<Vec<Value>> {
        let answer = self.ask(http, query).await?;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{query}: {body}");
        assert_eq!(body["tables"][0]["name"], "PrimaryResult", "{body}");
        Ok(body["tables"][0]["rows"].as_array().unwrap().clone())
    }

    /// The same, asked until there are rows: they are there a moment after the answer that they tell of.
    pub async fn rows_soon(&self, http: &mut Http<tls::Stream>, query: &str) -> io::Result<Vec<Value>> {
        loop {
            let rows = self.rows(http, query).await?;
            if !rows.is_empty() {
                return Ok(rows);
            }
            tokio::task::yield_now().await;
        }
    }
}
