//! Several queries in one call. Each is judged, run and answered by itself; one that fails fails alone.

use dps_model::TrackingId;
use dps_model::limits::MAX_QUERIES_PER_BATCH;
use serde_json::{Value, json};

use super::ask::Ask;
use super::failure::Failure;
use super::place::{Place, What};
use super::prefer::Prefer;
use super::{LogsApi, encode};

impl LogsApi {
    /// `{"requests": […]}`: answered in the order in which they came, each with its id.
    pub(super) async fn batch(&self, body: &Value) -> Result<Value, Failure> {
        let requests = body.get("requests").and_then(Value::as_array);
        let requests =
            requests.ok_or_else(|| Failure::argument("The member requests must be a list.".into()))?;
        if requests.len() > MAX_QUERIES_PER_BATCH {
            return Err(Failure::argument(format!("A batch has at most {MAX_QUERIES_PER_BATCH} requests.")));
        }
        let mut responses = Vec::with_capacity(requests.len());
        for request in requests {
            // One after the other: a batch must not take the places of everybody else's queries.
            let (status, body) = match self.one(request).await {
                Ok(body) => (http::StatusCode::OK, body),
                Err(failure) => failure.parts(TrackingId::fresh()),
            };
            responses.push(json!({
                "id": request.get("id"),
                "status": status.as_u16(),
                "headers": {"Content-Type": encode::MEDIA_TYPE},
                "body": body,
            }));
        }
        Ok(json!({ "responses": responses }))
    }

    async fn one(&self, request: &Value) -> Result<Value, Failure> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let path = text("path").unwrap_or("/query");
        if !path.eq_ignore_ascii_case("/query") {
            return Err(Failure::path_not_found());
        }
        let workspace = text("workspace")
            .ok_or_else(|| Failure::argument("A request of a batch must name its workspace.".into()))?;
        let place = Place { what: What::Query, workspace: Some(workspace.to_owned()), resource: None };
        let headers = request.get("headers").and_then(Value::as_object);
        let prefer =
            headers.and_then(|headers| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("prefer")));
        let prefer = prefer.and_then(|(_, value)| value.as_str()).map_or_else(Prefer::default, Prefer::of);
        let ask = Ask::of_body(request.get("body").unwrap_or(&Value::Null))?;
        self.query(self.scope(&place, &ask)?, ask, prefer).await
    }
}
