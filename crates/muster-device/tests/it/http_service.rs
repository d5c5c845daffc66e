//! An HTTP/1.1 service that gives prepared answers in order and keeps what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinHandle;

use crate::pki::{Listener, leaf};

/// Status, headers, body.
pub type Reply = (u16, &'static [(&'static str, &'static str)], String);

pub fn reply(status: u16, headers: &'static [(&'static str, &'static str)], body: &str) -> Reply {
    (status, headers, body.to_owned())
}

/// One request as it came.
#[derive(Clone)]
pub struct Asked {
    /// Counted from 1.
    pub connection: usize,
    pub certificate: Option<CertificateDer<'static>>,
    /// `METHOD path?query`.
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

pub struct Service {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
    pub port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub fn start(listener: Listener, replies: impl IntoIterator<Item = Reply>) -> Self {
        let state = State { replies: replies.into_iter().collect(), asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let (port, shared) = (listener.port, Arc::clone(&state));
        let task = tokio::spawn(async move {
            for connection in 1.. {
                let Ok(stream) = listener.accept().await else { continue };
                let (certificate, state) = (leaf(&stream), Arc::clone(&shared));
                let serve = service_fn(move |request| {
                    answer(Arc::clone(&state), connection, certificate.clone(), request)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Self { state, task, port }
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    connection: usize,
    certificate: Option<CertificateDer<'static>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let line = format!("{} {}", head.method, head.uri);
    let mut state = state.lock().unwrap();
    state.asked.push(Asked { connection, certificate, line, headers: head.headers, body });
    let (status, headers, body) = state.replies.pop_front().expect("an answer was prepared");
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}
