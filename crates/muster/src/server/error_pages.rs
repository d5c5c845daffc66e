//! `GET /errors` and `GET /errors/{code}`: what a code, a status or a message means, as JSON and for browsers as HTML.
//! Nothing is asked of the server's state, so anybody may read it. Must not know what the words are.

use std::fmt::Write as _;

use async_trait::async_trait;
use bytes::Bytes;
use dps_device_api::foreign::{Body, HttpFront};
use dps_model::ErrorCode;
use dps_model::explanation::{self, Explanation};
use http::header::{
    ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

const ROOT: &str = "/errors";
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The pages on the shared port.
pub struct ErrorPages;

#[async_trait]
impl HttpFront for ErrorPages {
    fn claims_http(&self, _host: &str, path: &str) -> bool {
        path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    async fn http(&self, request: Request<Body>) -> Response<Body> {
        let answer = answer(request.method(), request.uri().path(), request.headers());
        answer.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed())
    }
}

/// The page of a path.
pub fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Response<Bytes> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = Response::new(Bytes::new());
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let question = path.strip_prefix(ROOT).unwrap_or_default().trim_matches('/');
    let question = percent_decode_str(question).decode_utf8_lossy();
    let page = if question.is_empty() { all() } else { of(&question) };
    let html = prefers_html(headers);
    let text = if html { page.html() } else { page.json.to_string() };
    let mut response = Response::new(Bytes::from(if *method == Method::HEAD { String::new() } else { text }));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, if html { HTML } else { JSON });
    headers.insert(VARY, HeaderValue::from_name(ACCEPT));
    let fixed: [(HeaderName, &'static str); 2] =
        [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (CONTENT_SECURITY_POLICY, "default-src 'none'")];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Browsers name HTML; programs name JSON, or take anything.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (accept.find("text/html"), accept.find("application/json")) {
        (Some(html), Some(json)) => html < json,
        (html, _) => html.is_some(),
    }
}

struct Page {
    status: StatusCode,
    json: Value,
    title: String,
    explanations: Vec<Explanation>,
    /// Codes that lead on.
    links: Vec<String>,
}

fn all() -> Page {
    let mut codes: Vec<String> = ErrorCode::ALL.iter().map(|code| code.row().code.to_string()).collect();
    codes.dedup();
    let statuses = explanation::statuses().into_iter().map(|status| status.code);
    let links: Vec<String> = statuses.chain(codes).collect();
    let value: Vec<Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let row = code.row();
            json!({"code": row.code.to_string(), "name": row.name, "httpStatus": code.status(), "message": row.message})
        })
        .collect();
    let title = "Error codes".to_owned();
    Page { status: StatusCode::OK, json: json!({ "value": value }), title, explanations: Vec::new(), links }
}

fn of(question: &str) -> Page {
    match explanation::explain(question) {
        Ok(explanations) => Page {
            status: StatusCode::OK,
            json: json!({ "value": explanations }),
            title: question.to_owned(),
            links: explanations.iter().flat_map(|one| &one.codes).map(u32::to_string).collect(),
            explanations,
        },
        Err(unexplained) => {
            let message = "Nothing is known under this code, name or message.";
            let error =
                json!({"code": "NotFound", "message": message, "suggestions": unexplained.suggestions});
            Page {
                status: StatusCode::NOT_FOUND,
                json: json!({ "error": error }),
                title: message.to_owned(),
                explanations: Vec::new(),
                links: unexplained.suggestions,
            }
        }
    }
}

impl Page {
    fn html(&self) -> String {
        let mut html = format!("<!doctype html><title>{0}</title><h1>{0}</h1>", escaped(&self.title));
        for one in &self.explanations {
            // Writing to a String cannot fail.
            let _ = write!(
                html,
                "<h2>{} {}</h2><p><q>{}</q><p>{}<p>Likely causes:<ul>",
                one.code,
                escaped(one.name),
                escaped(one.message),
                escaped(one.meaning)
            );
            for cause in one.likely_causes {
                let _ = write!(html, "<li>{}", escaped(cause));
            }
            let _ = write!(
                html,
                "</ul><p>What to do: {}<p>Whose: {}. Retry: {}.<p>In the logs:<pre>{}</pre>",
                escaped(one.suggested_action),
                one.whose,
                if one.retryable { "yes" } else { "no" },
                escaped(&one.query)
            );
        }
        if !self.links.is_empty() {
            html.push_str("<p>See:");
            for code in &self.links {
                let _ = write!(html, " <a href=\"{ROOT}/{0}\">{0}</a>", escaped(code));
            }
        }
        html
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use dps_device_api::foreign::HttpFront as _;
    use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
    use http::{HeaderMap, Method, StatusCode};

    use super::{ErrorPages, answer};

    fn get(path: &str, accept: &'static str) -> (StatusCode, String, String) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        let response = answer(&Method::GET, path, &headers);
        let media = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        (response.status(), media, String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[test]
    fn code_is_explained_to_programs_and_browsers() {
        let (status, media, text) = get("/errors/401002", "*/*");
        assert_eq!((status, media.as_str()), (StatusCode::OK, "application/json; charset=utf-8"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["value"][1]["name"], "HubUnauthorized");
        assert!(json["value"][0]["query"].as_str().unwrap().starts_with("AzureDiagnostics"));
        let (_, media, text) = get("/errors/403", "text/html,application/xhtml+xml,*/*;q=0.8");
        assert_eq!(media, "text/html; charset=utf-8");
        assert!(text.contains("Forbidden") && text.contains("/errors/403002"), "{text}");
    }

    #[test]
    fn unknown_code_is_404_with_the_nearest_and_nothing_of_it_is_markup() {
        let (status, _, text) = get("/errors/401009", "application/json");
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(text.contains(r#""suggestions":["401000""#), "{text}");
        let (_, _, text) = get("/errors/%3Cscript%3E401", "text/html");
        assert!(!text.contains("<script"), "{text}");
        let (_, _, text) = get("/errors", "text/html");
        assert!(text.contains("/errors/429001"), "{text}");
    }

    #[test]
    fn pages_are_read_only_and_claim_nothing_else() {
        let refused = answer(&Method::POST, "/errors/400", &HeaderMap::new());
        assert_eq!(
            (refused.status(), &refused.headers()[ALLOW]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD".parse().unwrap())
        );
        for (path, claimed) in
            [("/errors", true), ("/errors/1", true), ("/errors2", false), ("/0neErrors/x", false)]
        {
            assert_eq!(ErrorPages.claims_http("h", path), claimed, "{path}");
        }
    }
}
