//! The query API of Log Analytics: where it is, what opens it, and one query as one call. Must not know what is done with
//! an answer.

#![allow(clippy::doc_markdown)] // comments of options are the help's text

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::json;

use super::answer::Answer;
use super::mistake;
use crate::fleet::Failure;
use crate::fleet::api::sender::{Ask, Sender, Terms};
use crate::fleet::api::service::SEGMENT;
use crate::fleet::api::target::{Credential, Target};
use crate::fleet::connection::{Sources, TrustOptions, base_url};
use crate::watch::limits::{ANSWER_GRACE, MAX_QUERY_ANSWER};

const LOGS_URL: &str = "MUSTER_LOGS_URL";
const WORKSPACE_ID: &str = "MUSTER_WORKSPACE_ID";
const AZURE_LOGS: &str = "https://api.loganalytics.azure.com";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Where logs are, and what opens them.
#[derive(clap::Args, Clone, Default)]
#[command(next_help_heading = "Connection")]
pub struct WorkspaceOptions {
    /// Base URL of the query API, without /v1 [env: MUSTER_LOGS_URL]
    #[arg(long, value_name = "URL")]
    logs_url: Option<String>,
    /// Id of the workspace [env: MUSTER_WORKSPACE_ID]
    #[arg(long, short, value_name = "ID")]
    workspace: Option<String>,
    /// Ask for the rows of this resource alone; takes no right on the workspace
    #[arg(long, value_name = "ID", conflicts_with = "workspace")]
    resource_id: Option<String>,
    #[command(flatten)]
    trust: TrustOptions,
}

impl WorkspaceOptions {
    /// The client of the logs that are meant.
    pub fn open(&self) -> Result<Workspace, Failure> {
        let (target, path) = self.target(&Sources::new(&self.trust))?;
        Ok(Workspace::new(target, &path))
    }

    fn target(&self, sources: &Sources) -> Result<(Target, String), Failure> {
        let (token, named) = sources.token()?;
        let url = self.logs_url.clone().or_else(|| sources.beside(&named, LOGS_URL));
        let base = base_url(url.as_deref().unwrap_or(AZURE_LOGS))?;
        let path = if let Some(id) = &self.resource_id {
            resource_path(id)?
        } else {
            let id = self.workspace.clone().or_else(|| sources.beside(&named, WORKSPACE_ID));
            let id = id.ok_or_else(|| {
                Failure::Usage("say --workspace ID, or --resource-id for one resource".to_owned())
            })?;
            format!("workspaces/{}", segment(id.trim()))
        };
        let ca = sources.ca(named.ends_with("dev.env"))?;
        Ok((Target { base, credential: Credential::Bearer(token), ca, named }, path))
    }
}

fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, SEGMENT).to_string()
}

/// An ARM id as a path.
fn resource_path(id: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = id.trim().trim_matches('/').split('/').collect();
    let is_id = parts.len() >= 2
        && parts.iter().all(|part| !part.is_empty())
        && parts.first().is_some_and(|first| first.eq_ignore_ascii_case("subscriptions"));
    if !is_id {
        return Err(Failure::Usage(format!(
            "{id} is no resource id: it is like \
             /subscriptions/…/resourceGroups/…/providers/Microsoft.Devices/provisioningServices/…"
        )));
    }
    Ok(parts.iter().map(|part| segment(part)).collect::<Vec<_>>().join("/"))
}

/// How one query is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Seconds that it may run.
    pub wait: u64,
    /// Requests until the service is given up.
    pub attempts: u32,
}

/// The logs of a workspace or of a resource.
pub struct Workspace {
    target: Target,
    url: String,
}

/// Those who ask it, with their patience.
pub struct Asking<'a> {
    workspace: &'a Workspace,
    sender: Sender,
    patience: Patience,
}

impl Workspace {
    fn new(target: Target, path: &str) -> Self {
        let url = format!("{}/v1/{path}/query", target.base);
        Self { target, url }
    }

    /// Where the service is, for messages.
    pub fn service(&self) -> &str {
        &self.target.base
    }

    /// A connection on which queries have that much patience.
    pub fn asking(&self, patience: Patience) -> Result<Asking<'_>, Failure> {
        let terms = Terms {
            timeout: Duration::from_secs(patience.wait + ANSWER_GRACE),
            max_answer: MAX_QUERY_ANSWER,
            max_attempts: patience.attempts,
            timeout_is_final: true,
        };
        Ok(Asking { workspace: self, sender: self.target.sender()?.on_terms(terms), patience })
    }
}

impl Asking<'_> {
    /// Runs a query. What is wrong with it is told with its place.
    pub async fn query(&self, text: &str, timespan: Option<&str>) -> Result<Answer, Failure> {
        let mut body = json!({ "query": text });
        if let (Some(timespan), Some(members)) = (timespan, body.as_object_mut()) {
            members.insert("timespan".to_owned(), json!(timespan));
        }
        let prefer = format!("wait={},include-statistics=true", self.patience.wait);
        let ask = Ask {
            method: Method::POST,
            url: self.workspace.url.clone(),
            headers: vec![(PREFER, prefer)],
            body: Some(body),
        };
        let answered = self.sender.call(&ask, || self.workspace.target.authorization()).await;
        Answer::read(answered.map_err(|failure| mistake::told(failure, text))?.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_is_a_path_below_v1() {
        let id =
            "/subscriptions/s/resourceGroups/a group/providers/Microsoft.Devices/provisioningServices/n/";
        let path =
            "subscriptions/s/resourceGroups/a%20group/providers/Microsoft.Devices/provisioningServices/n";
        assert_eq!(resource_path(id).ok().as_deref(), Some(path));
        for bad in ["", "n", "/subscriptions", "/subscriptions//x", "/resourceGroups/g"] {
            assert_eq!(resource_path(bad).err().unwrap().exit_status(), 2, "{bad}");
        }
    }
}
