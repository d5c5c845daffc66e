//! Provisioning over HTTPS: HTTP/1.1 on one kept-alive connection, opened again when the service has closed it.

use bytes::Bytes;
use dps_attestation::sas_token::device_resource;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::AbortHandle;

use super::{API_VERSION, CLIENT_VERSION, Device, Exchange};
use crate::answer::Answer;
use crate::error::Error;
use crate::tls::Server;
use crate::tpm;
use dps_model::limits::{MAX_BODY, MAX_HTTP_HEADER};

/// HTTPS.
pub(crate) const PORT: u16 = 443;
/// Everything but RFC 3986's unreserved characters is escaped in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The service, and the connection to it while there is one.
pub(crate) struct Https {
    server: Server,
    authority: String,
    /// `/{idScope}/registrations/{registrationId}`.
    path: String,
    authorization: Option<HeaderValue>,
    device: Device,
    connection: Connection,
}

/// An open connection; its task ends with it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    async fn open(server: &Server) -> Result<Self, Error> {
        let stream = TokioIo::new(server.open().await?);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HTTP_HEADER)
            .handshake(stream)
            .await
            .map_err(|error| failed(&server.authority(PORT), &error))?;
        // What ends the connection is told to the request that was under way.
        let task = tokio::spawn(async move { connection.await.unwrap_or_default() }).abort_handle();
        Ok(Self { sender, task })
    }
}

impl Https {
    pub(crate) async fn open(server: &Server, mut device: Device) -> Result<Self, Error> {
        let authorization = device.token.take().map(header).transpose()?;
        let id = utf8_percent_encode(device.registration_id.as_str(), SEGMENT);
        Ok(Self {
            server: server.clone(),
            authority: server.authority(PORT),
            path: format!("/{}/registrations/{id}", device.id_scope),
            authorization,
            connection: Connection::open(server).await?,
            device,
        })
    }

    /// Asks how the registration stands, without an operation (DPS REST: Device Registration Status Lookup).
    pub(crate) async fn look_up(&mut self, body: &str) -> Result<Answer, Error> {
        self.ask(Method::POST, "", Bytes::copy_from_slice(body.as_bytes())).await
    }

    /// Has the TPM answer a challenge; false when the answer is none, or there is no TPM.
    async fn answered(&mut self, answer: &Answer) -> Result<bool, Error> {
        let Some((tpm, expiry)) = &self.device.tpm else { return Ok(false) };
        let Some(challenge) = answer.challenge() else { return Ok(false) };
        let resource = device_resource(&self.device.id_scope, &self.device.registration_id);
        let token =
            tpm::answer(tpm, &challenge.authentication_key, &resource, *expiry, &challenge.key_name).await?;
        self.authorization = Some(header(token)?);
        Ok(true)
    }

    async fn ask(&mut self, method: Method, tail: &str, body: Bytes) -> Result<Answer, Error> {
        let request = self.request(method, tail, body)?;
        // Between two polls the service may have closed the connection: that is no failure.
        if self.connection.sender.ready().await.is_err() {
            self.connection = Connection::open(&self.server).await?;
        }
        let (head, body) = self.send(request).await?.into_parts();
        let server = &self.server;
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Error::Protocol(format!("the service's answer is larger than {MAX_BODY} bytes"));
            }
            error.downcast_ref().map_or_else(
                || Error::Protocol("the service's answer cannot be read".into()),
                |error| failed(&server.authority(PORT), error),
            )
        })?;
        let retry_after = retry_after(&head.headers);
        Ok(Answer { status: head.status.as_u16(), retry_after, body: body.to_bytes() })
    }

    /// Sends a request; one that found the connection closed and never left is sent on a new one.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let mut unsent = match self.connection.sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(unsent) => unsent,
        };
        let Some(request) = unsent.take_message() else {
            return Err(failed(&self.authority, unsent.error()));
        };
        self.connection = Connection::open(&self.server).await?;
        let sent = self.connection.sender.send_request(request).await;
        sent.map_err(|error| failed(&self.authority, &error))
    }

    fn request(&self, method: Method, tail: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{tail}?api-version={API_VERSION}", self.path))
            .header(HOST, &self.authority)
            .header(USER_AGENT, CLIENT_VERSION)
            .header(ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request
            .body(Full::new(body))
            .map_err(|error| Error::Setting(format!("the request cannot be written: {error}")))
    }
}

impl Exchange for Https {
    async fn register(&mut self, body: &str) -> Result<Answer, Error> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        // A token of an earlier challenge is spent.
        if self.device.tpm.is_some() {
            self.authorization = None;
        }
        let answer = self.ask(Method::PUT, "/register", body.clone()).await?;
        if self.answered(&answer).await? {
            self.ask(Method::PUT, "/register", body).await
        } else {
            Ok(answer)
        }
    }

    async fn poll(&mut self, operation_id: &str) -> Result<Answer, Error> {
        let tail = format!("/operations/{}", utf8_percent_encode(operation_id, SEGMENT));
        self.ask(Method::GET, &tail, Bytes::new()).await
    }
}

/// A token as the header that is never shown.
fn header(token: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(token)
        .map_err(|_| Error::Setting("the SAS token is not a header's text".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The header in seconds. Its other form is a date, which counts from the answer's own: the device's clock may be
/// wrong, and a proxy in front of a service may write it so.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let second = |date: &str| jiff::fmt::rfc2822::parse(date).ok().map(|date| date.timestamp().as_second());
    let seconds = match asked.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => u64::try_from(second(asked)?.saturating_sub(second(text(DATE)?)?)).unwrap_or(0),
    };
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// What hyper has to say, with TLS's and the system's reasons found underneath.
pub(crate) fn failed(address: &str, error: &hyper::Error) -> Error {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Error::stream(address, io);
        }
        source = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return crate::error::closed(address);
    }
    Error::Protocol(format!("{address} does not answer as HTTP/1.1: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_behind_the_answers_own() {
        for (text, expected) in [
            ("3", Some(3)),
            (" 7 ", Some(7)),
            ("99999999999", Some(u32::MAX)),
            ("-1", None),
            ("soon", None),
            ("Mon, 01 Jan 2024 00:02:00 GMT", Some(120)),
            ("Sun, 31 Dec 2023 23:59:59 GMT", Some(0)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            headers.insert(DATE, HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT"));
            assert_eq!(retry_after(&headers), expected, "{text}");
        }
    }

    #[test]
    fn retry_after_date_in_an_answer_without_one_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT"));
        assert_eq!(retry_after(&headers), None);
    }
}
