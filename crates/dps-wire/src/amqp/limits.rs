//! Every bound of the AMQP engine, by name. Callers may choose smaller ones through
//! [`super::connection::Config`].

/// Largest SASL frame, both ways (AMQP 1.0 §5.3.1, and all that a stranger can make us hold).
pub const MAX_SASL_FRAME: usize = 512;
/// The smallest largest frame that a peer may announce (§2.4.1, MIN-MAX-FRAME-SIZE).
pub const MIN_MAX_FRAME: u32 = 512;
/// Default bound of one frame, which we announce in OPEN; Azure's gateway announces the same.
pub const DEFAULT_MAX_FRAME: u32 = 65_536;
/// Deepest nesting of lists, maps, arrays and described values in one value.
pub const MAX_DEPTH: usize = 12;
/// Most values, however nested, that are kept of one frame or one message.
pub const MAX_VALUES: usize = 2_048;
/// Longest symbol, in bytes. Azure's own are below 50.
pub const MAX_SYMBOL: usize = 1_024;
/// Longest string, in bytes: as long as a whole message may be.
pub const MAX_STRING: usize = 64 * 1024;
/// Longest delivery tag (§2.8.7).
pub const MAX_DELIVERY_TAG: usize = 32;
/// Longest name of a link, and longest container id or host name, in bytes.
pub const MAX_NAME: usize = 512;
/// Most SASL mechanisms that a client reads.
pub const MAX_MECHANISMS: usize = 16;

/// The highest channel that we announce; Azure's gateway announces the same.
pub const DEFAULT_CHANNEL_MAX: u16 = 8_191;
/// The highest link handle that we announce.
pub const DEFAULT_HANDLE_MAX: u32 = 255;
/// Default bound of sessions that one connection holds.
pub const DEFAULT_MAX_SESSIONS: usize = 4;
/// Default bound of links that one connection holds, over all its sessions.
pub const DEFAULT_MAX_LINKS: usize = 16;
/// Transfers that a session may send before we renew its window.
pub const SESSION_WINDOW: u32 = 1_024;
/// Default credit of a link that sends to us, deliveries without a verdict included.
pub const DEFAULT_LINK_CREDIT: u32 = 16;
/// Default bound of one message, all its transfers together.
pub const DEFAULT_MAX_MESSAGE: usize = 64 * 1024;
/// Default bound of half-received messages on one connection, in bytes.
pub const DEFAULT_MAX_PARTIAL: usize = 128 * 1024;
/// Default bound of messages that wait for one link's credit.
pub const DEFAULT_MAX_QUEUED: usize = 16;
/// Default bound of bytes that wait for credit on one connection.
pub const DEFAULT_MAX_QUEUED_BYTES: usize = 256 * 1024;
/// Default bound of messages sent on one session and not settled by the peer.
pub const DEFAULT_MAX_UNSETTLED: usize = 64;
/// Default bound of bytes waiting to be written to a peer that does not read.
pub const DEFAULT_MAX_OUTPUT: usize = 512 * 1024;

/// The idle time-out that we announce, in milliseconds; Azure's gateway announces the same. The connection is
/// cut at twice this silence, as §2.4.5 recommends.
pub const DEFAULT_IDLE_TIME_OUT_MS: u32 = 240_000;
/// The shortest time between two heartbeats, however short the peer's idle time-out is.
pub const MIN_HEARTBEAT_MS: u64 = 500;
/// Default time from the first byte to the verdict about OPEN, in milliseconds.
pub const DEFAULT_HANDSHAKE_TIMEOUT_MS: u64 = 30_000;
/// The same once a SASL challenge was sent: a TPM is slow, and the Java SDK lets its caller take 60 seconds.
pub const DEFAULT_CHALLENGE_TIMEOUT_MS: u64 = 90_000;
/// Default time that a peer has to answer our CLOSE, in milliseconds.
pub const DEFAULT_CLOSE_TIMEOUT_MS: u64 = 5_000;

/// Longest link address that is parsed, in bytes.
pub const MAX_ADDRESS: usize = 1_024;
/// Longest registration id or id scope in a SASL response, in bytes.
pub const MAX_IDENTITY: usize = 512;
/// Longest key (EK or SRK) that a client may send over several segments, identity included, in bytes.
pub const MAX_TPM_KEY_BYTES: usize = 2_048;
/// Most bytes behind the control byte of one TPM segment (the C SDK's own bound).
pub const MAX_TPM_SEGMENT: usize = 470;
