//! Every bound of the MQTT engine, by name. Callers may choose smaller ones through [`super::codec::Limits`]
//! and [`super::session::SessionLimits`].

/// The largest remaining length the four length bytes can say (MQTT 3.1.1 §2.2.3).
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;
/// The largest string or binary field (a two-byte length prefix).
pub const MAX_FIELD: usize = 65_535;
/// Default bound of one packet, fixed header included, once the connection is accepted.
pub const DEFAULT_MAX_PACKET: usize = 64 * 1024;
/// Default bound of a CONNECT, which a stranger may send: user name, SAS token and client id fit many times.
pub const DEFAULT_MAX_CONNECT: usize = 8 * 1024;
/// Default bound of topic filters in one SUBSCRIBE or UNSUBSCRIBE.
pub const DEFAULT_MAX_FILTERS: usize = 16;
/// Default bound of topic filters that one connection may hold granted.
pub const DEFAULT_MAX_SUBSCRIPTIONS: usize = 16;
/// Default bound of QoS 1 messages sent and not yet acknowledged by the peer.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 16;
/// Default bound of QoS 1 messages received and not yet acknowledged by us; beyond it reading pauses.
pub const DEFAULT_MAX_UNACKNOWLEDGED: usize = 16;
/// Default bound of bytes waiting to be written to a peer that does not read.
pub const DEFAULT_MAX_OUTPUT: usize = 512 * 1024;
/// Default time from the first byte to CONNECT, and from CONNECT to its verdict, in milliseconds.
pub const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 30_000;

/// Longest `$rid` that is echoed, in bytes.
pub const MAX_REQUEST_ID: usize = 256;
/// Longest operation id, in bytes after decoding.
pub const MAX_OPERATION_ID: usize = 256;
/// Longest user name that is parsed, in bytes.
pub const MAX_USER_NAME: usize = 4 * 1024;
/// Most `key=value` pieces in the query of a topic or user name.
pub const MAX_QUERY_PIECES: usize = 16;
/// Most properties in a message's property bag.
pub const MAX_PROPERTIES: usize = 128;
