//! HTTPS: HTTP/1.1 and HTTP/2 on one port, for the device API and whoever shares the port through `foreign`; and
//! where a WebSocket begins. Owns the exchange from request to response; must not know what the core does with it.

mod decode;
mod encode;
mod upgrade;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dps_core::{DeviceRequest, DeviceResponse};
use dps_model::{Channel, Error, ErrorCode, TrackingId, limits};
use http::header::{ALLOW, HOST};
use http::{HeaderValue, Request, Response, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{self, UpgradeableConnection};
use tokio::sync::Notify;

use self::decode::Refusal;
use self::upgrade::Agreed;
use crate::api::{Core, DeviceApi};
use crate::foreign::{Body, HttpFront, Stream};
use crate::listener::{self, Accepted};
use crate::refused::{Claims, Ended};
use crate::reject;
use crate::timed::{HeardReads, TimedBody};

/// What the watchdog of a connection looks at.
#[derive(Default)]
pub(crate) struct Activity {
    begun: AtomicUsize,
    running: AtomicUsize,
    /// Bytes have come that no request has begun with yet.
    heard: AtomicBool,
    changed: Notify,
}

impl Activity {
    /// Bytes came in. While a request runs they are its body's; before the first, the time has begun already.
    pub(crate) fn hear(&self) {
        let between = self.begun.load(Ordering::Relaxed) > 0 && self.running.load(Ordering::Relaxed) == 0;
        if between && !self.heard.swap(true, Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}

/// Counts a request as running until it is dropped, its answer made or not.
struct Running<'a>(&'a Activity);

impl<'a> Running<'a> {
    fn begin(activity: &'a Activity) -> Self {
        activity.heard.store(false, Ordering::Relaxed);
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// Serves one connection to its end, or until it is a WebSocket, which is given back.
pub(crate) async fn serve(api: &Arc<DeviceApi>, accepted: Accepted) -> Option<Accepted> {
    let Accepted { stream, channel, opened, mut shutdown, http2 } = accepted;
    let activity = Arc::new(Activity::default());
    let agreed = Arc::new(Mutex::new(None));
    let service = {
        let (api, channel) = (Arc::clone(api), Arc::clone(&channel));
        let (activity, agreed) = (Arc::clone(&activity), Arc::clone(&agreed));
        service_fn(move |request| {
            let (api, channel) = (Arc::clone(&api), Arc::clone(&channel));
            let (activity, agreed) = (Arc::clone(&activity), Arc::clone(&agreed));
            async move {
                let _running = Running::begin(&activity);
                Ok::<_, Infallible>(answer(&api, &channel, request, &agreed).await)
            }
        })
    };
    let ended = {
        let server = server(http2);
        let stream: Box<dyn Stream> =
            if http2 { stream } else { Box::new(HeardReads::new(stream, Arc::clone(&activity))) };
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended.err().and_then(|error| explained(&*error)),
            () = listener::requested(&mut shutdown) => {
                wind_up(connection).await;
                None
            }
            () = idle(&activity) => {
                wind_up(connection).await;
                Some(Ended::at("protocol", format!("no HTTP request came within {} seconds", limits::HEADER_TIMEOUT)))
            }
        }
    };
    if activity.begun.load(Ordering::Relaxed) == 0
        && let Some(ended) = ended
    {
        api.refused.connection(opened, channel.protocol, channel.peer, ended);
    }
    let agreed = taken(&agreed)?;
    agreed.accepted(&channel, shutdown).await
}

/// Where a request leaves the WebSocket that it began.
type Slot = Mutex<Option<Agreed>>;

fn taken(slot: &Slot) -> Option<Agreed> {
    // Nothing in here can be left half done by a panic.
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A connection of hyper's over our stream.
type Connection<'a, S> = UpgradeableConnection<'a, TokioIo<Box<dyn Stream>>, S, TokioExecutor>;

/// Lets requests in progress end, for a while; what is left then is a peer that does not answer.
async fn wind_up<S>(mut connection: Pin<&mut Connection<'_, S>>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    connection.as_mut().graceful_shutdown();
    // Its own failure to end well is the peer's loss alone.
    let _ = tokio::time::timeout(Duration::from_secs(limits::DRAIN_TIMEOUT), connection).await;
}

/// The limits of a connection.
fn server(http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // As Azure spells them; some small clients compare header names as they are.
        .title_case_headers(true)
        // hyper's timer would run between two requests too, and a kept connection may be idle for longer.
        .header_read_timeout(None)
        .max_buf_size(limits::MAX_HTTP_HEADER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::MAX_HTTP2_STREAMS)
        .max_header_list_size(u32::try_from(limits::MAX_HTTP_HEADER).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(limits::TCP_KEEPALIVE))
        .keep_alive_timeout(Duration::from_secs(limits::WRITE_TIMEOUT));
    // ALPN has decided; guessing from the first bytes would wait for them without a limit.
    if http2 { builder.http2_only() } else { builder.http1_only() }
}

/// Ends when the connection has carried no request for too long, or a header that began does not end.
async fn idle(activity: &Activity) {
    loop {
        let begun = activity.begun.load(Ordering::Relaxed);
        let heard = activity.heard.load(Ordering::Relaxed);
        let patience = if begun == 0 || heard { limits::HEADER_TIMEOUT } else { limits::IDLE_TIMEOUT };
        let quiet =
            tokio::time::timeout(Duration::from_secs(patience), activity.changed.notified()).await.is_err();
        if quiet
            && activity.running.load(Ordering::Relaxed) == 0
            && activity.begun.load(Ordering::Relaxed) == begun
            && activity.heard.load(Ordering::Relaxed) == heard
        {
            return;
        }
    }
}

/// Why a connection without a request ended, when it was not the client's free will: a reset or an early end is.
fn explained(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<Ended> {
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        if hyper.is_timeout() {
            let reason = format!("no HTTP request came within {} seconds", limits::HEADER_TIMEOUT);
            return Some(Ended::at("protocol", reason));
        }
        if hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled() {
            return None;
        }
    }
    let (mut went, mut why) = (false, "this is no HTTP request".to_owned());
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        // Broken TLS is told as invalid data; any other failure of the stream is the peer gone.
        went |=
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() != io::ErrorKind::InvalidData);
        why = format!("{why}: {cause}");
        next = cause.source();
    }
    (!went).then(|| Ended::at("protocol", why))
}

/// One exchange. Exactly one event comes of it: the core's, a neighbour's, or that of a refusal here.
async fn answer(
    api: &DeviceApi,
    channel: &Arc<Channel>,
    request: Request<Incoming>,
    agreed: &Slot,
) -> Response<Body> {
    let opened = api.refused.open();
    let tracking_id = TrackingId::fresh();
    let (parts, body) = request.into_parts();
    // Before the path is looked at: a WebSocket has any.
    if upgrade::wanted(&parts) {
        return open_websocket(api, channel, Request::from_parts(parts, body), agreed).await;
    }
    let route = decode::route(parts.uri.path());
    let ours = route.as_ref().is_some_and(|route| api.core.knows_scope(&route.id_scope));
    if !ours && let Some(front) = neighbour(api, &parts) {
        let body = TimedBody::new(body, Duration::from_secs(limits::BODY_TIMEOUT)).boxed();
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(Arc::clone(channel));
        return carried_out(api, front, request).await;
    }
    let claims = match &route {
        Some(route) => decode::claims(route, &parts),
        None => Claims { client: decode::client(&parts.headers), ..Claims::default() },
    };
    let mut door = api.refused.request(opened, channel, tracking_id, claims);
    let asked = if let Some(route) = route {
        decode::operation(route, &parts, body, door.claims()).await
    } else {
        // Whatever the body is, nobody asked for it.
        let _ = decode::whole(body).await;
        Err(Refusal::from(Error::new(ErrorCode::RouteNotFound)))
    };
    let operation = match asked {
        Ok(operation) => operation,
        Err(Refusal { error, allow }) => {
            door.refuse(&error);
            return rejected(api, tracking_id, &error, allow);
        }
    };
    let request = decode::decode(door.hand_on(), &parts, channel, tracking_id, operation);
    let location = || format!("https://{}{}", host(&parts), parts.uri.path());
    match finished(Arc::clone(&api.core), request).await {
        Ok(response) => encode::encode(&response, tracking_id, &location())
            .unwrap_or_else(|error| rejected(api, tracking_id, &error, None)),
        Err(error) => rejected(api, tracking_id, &error, None),
    }
}

/// A neighbour's request is carried to its end as well: half of a change of an instance or of an enrollment must not
/// remain because a client lost patience.
async fn carried_out(api: &DeviceApi, front: &Arc<dyn HttpFront>, request: Request<Body>) -> Response<Body> {
    let front = Arc::clone(front);
    // Fails only when it is closed, which nobody does.
    let place = Arc::clone(&api.neighbours).acquire_owned().await.ok();
    let served = tokio::spawn(async move {
        let response = front.http(request).await;
        drop(place);
        response
    });
    match served.await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => rejected(api, TrackingId::fresh(), &Error::internal(cancelled), None),
        },
    }
}

/// What is asked is finished although its client may go away, which here alone would be noticed: the record and the
/// store say the same as over the other protocols. How much runs at once is bounded by the core.
async fn finished(core: Arc<dyn Core>, request: DeviceRequest) -> Result<DeviceResponse, Error> {
    let served = tokio::spawn(async move { core.serve(request).await });
    served.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(Error::internal(cancelled)),
    })
}

/// Agrees to a WebSocket, or refuses the request with one event.
async fn open_websocket(
    api: &DeviceApi,
    channel: &Arc<Channel>,
    mut request: Request<Incoming>,
    agreed: &Slot,
) -> Response<Body> {
    let opened = api.refused.open();
    let tracking_id = TrackingId::fresh();
    let stream = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let claims = Claims { client: decode::client(&parts.headers), ..Claims::default() };
    let door = api.refused.request(opened, channel, tracking_id, claims);
    let asked = match decode::whole(body).await {
        Ok(body) => upgrade::agree(&parts, &body),
        Err(error) => Err(error.into()),
    };
    match asked {
        Ok((response, protocol)) => {
            // The conversation that begins has events of its own.
            door.hand_on();
            let mut slot = agreed.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Some(Agreed { protocol, opened, stream });
            response
        }
        Err(Refusal { error, allow }) => {
            door.refuse(&error);
            let mut response = rejected(api, tracking_id, &error, allow);
            upgrade::announce_version(&mut response);
            response
        }
    }
}

/// The answer to a failure.
fn rejected(
    api: &DeviceApi,
    tracking_id: TrackingId,
    error: &Error,
    allow: Option<&'static str>,
) -> Response<Body> {
    let refusal = reject::http(error, tracking_id, api.clock.now());
    let mut response = encode::with_body(refusal.status, tracking_id, refusal.retry_after, refusal.body);
    response.headers_mut().insert("x-ms-error-code", HeaderValue::from(refusal.error_code));
    if let Some(methods) = allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// The first neighbour that claims the request.
fn neighbour<'a>(api: &'a DeviceApi, parts: &request::Parts) -> Option<&'a Arc<dyn HttpFront>> {
    let host = without_port(host(parts));
    api.fronts.http.iter().find(|front| front.claims_http(host, parts.uri.path()))
}

/// The host as the client wrote it, with its port.
fn host(parts: &request::Parts) -> &str {
    let named = parts.uri.authority().map(http::uri::Authority::as_str);
    named.or_else(|| parts.headers.get(HOST)?.to_str().ok()).unwrap_or_default()
}

/// A host without its port; the brackets of an IPv6 address stay.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn host_port_stripped_and_address_kept() {
        for (host, expected) in [
            ("a.b:443", "a.b"),
            ("a.b", "a.b"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
            ("a:", "a"),
            ("", ""),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }
}
