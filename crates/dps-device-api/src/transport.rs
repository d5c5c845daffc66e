//! The port through which whoever runs the server stands between a connection and its front, for a development server
//! that breaks connections as it is told. Must not know what is said on them.

use std::sync::Arc;

use dps_model::Channel;

use crate::foreign::Stream;

/// Stands between connections and fronts.
pub trait Transport: Send + Sync + 'static {
    /// Carries what is said on a connection after TLS; one that becomes a WebSocket is still the same.
    fn carry(&self, channel: &Arc<Channel>, stream: Box<dyn Stream>) -> Box<dyn Stream>;
}

/// Nobody stands there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl Transport for Direct {
    fn carry(&self, _channel: &Arc<Channel>, stream: Box<dyn Stream>) -> Box<dyn Stream> {
        stream
    }
}
