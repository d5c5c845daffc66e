//! The way from the portal's cookie to a credential that the APIs judge: taken by calls of the portal's own pages alone, since
//! a browser sends a cookie for any page. Must not know what is called.

use std::sync::Arc;

use dps_access::{AccessControl, Owner};
use dps_core::ports::Clock;
use dps_core::{Instances, Lifecycle};
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Uri;

use super::cookie;
use crate::request;

/// Which provisioning service the pages show, where the address names another one.
const SERVICE: HeaderName = HeaderName::from_static("x-muster-service");

/// Stands before the APIs.
pub struct Gate {
    instances: Arc<Instances>,
    life: Lifecycle,
    access: Arc<AccessControl>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// Before the APIs of those instances.
    pub fn new(
        instances: Arc<Instances>,
        life: Lifecycle,
        access: Arc<AccessControl>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { instances, life, access, clock }
    }

    /// Gives a call of the portal's pages the credential that its cookie stands for. Any other call stays as it is.
    pub async fn pass(&self, head: &mut Parts) {
        if head.headers.contains_key(AUTHORIZATION) || !cookie::is_of_own_page(head) {
            return;
        }
        let Some(id) = cookie::session(&head.headers).map(str::to_owned) else { return };
        let Some(credential) = cookie::credential(&id) else { return };
        if let Some(host) = self.service_host(head, &id).await {
            address(head, host);
        }
        head.headers.insert(AUTHORIZATION, credential);
        head.headers.remove(COOKIE);
    }

    /// Is it a call of the portal's pages, by somebody who is signed in?
    pub async fn knows(&self, head: &Parts) -> bool {
        let id = cookie::session(&head.headers).filter(|_| cookie::is_of_own_page(head));
        match id {
            Some(id) => self.access.session(id, self.clock.now()).await.is_some(),
            None => false,
        }
    }

    /// The host of the service that the page or, for want of that, the session names.
    async fn service_host(&self, head: &Parts, id: &str) -> Option<HeaderValue> {
        let named = request::header(&head.headers, &SERVICE);
        let instance = match named {
            Some(name) => self.instances.by_name(&name)?,
            None => match self.access.session(id, self.clock.now()).await?.owner() {
                Owner::Policy { rows, .. } => self.instances.by_rows(rows)?,
                _ => return None,
            },
        };
        let called = self.instances.by_host(dps_access::without_port(&request::host(head)));
        if called.rows() == instance.rows() {
            return None;
        }
        HeaderValue::from_str(&self.life.hosting().host_names(&instance).service).ok()
    }
}

fn address(head: &mut Parts, host: HeaderValue) {
    if let Some(path) = head.uri.path_and_query() {
        head.uri = Uri::from(path.clone());
    }
    head.headers.insert(HOST, host);
}
