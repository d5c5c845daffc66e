//! Bounds of the client alone; what both sides share is in `dps_model::limits`. Times are durations, sizes bytes.

use std::time::Duration;

/// Time one provisioning may take in all, unless the application says otherwise.
pub(crate) const DEFAULT_PROVISIONING_TIMEOUT: Duration = Duration::from_mins(2);
/// Time one request to a hub may take, unless the application says otherwise.
pub(crate) const DEFAULT_HUB_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that reaching a server may take: name, TCP and TLS.
pub(crate) const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that leaving in good order may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before a poll when the service names none (the SDKs' default).
pub(crate) const DEFAULT_POLL_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause that a service may ask for; a longer one counts as this.
pub(crate) const MAX_POLL_PAUSE: Duration = Duration::from_mins(5);
/// First pause after a poll that was refused for a while; it doubles.
pub(crate) const REFUSED_POLL_PAUSE: Duration = Duration::from_secs(1);
/// Longest first delay of a fleet, and longest jitter of its own.
pub(crate) const MAX_FLEET_DELAY: Duration = Duration::from_hours(24);
/// First pause before a step that failed is tried again; it doubles (the C SDK's bounds).
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest such pause, before jitter.
pub(crate) const BACKOFF_LONGEST: Duration = Duration::from_secs(100);
/// Longest pause before a registration that was denied is tried again, before jitter.
pub(crate) const DENIED_BACKOFF_LONGEST: Duration = Duration::from_mins(15);
/// First pause after a hub's 5xx; it doubles.
pub(crate) const HUB_TROUBLE_BACKOFF_FIRST: Duration = Duration::from_secs(5);
/// Least time that an unreachable hub is tried before the device registers again.
pub(crate) const HUB_PATIENCE_LEAST: Duration = Duration::from_mins(15);
/// Most time after which an unreachable hub is tried for the last time: with the first try, which found out, and the
/// last one, which may each take as long as a request, the device registers within 30 minutes.
pub(crate) const HUB_PATIENCE_MOST: Duration = Duration::from_mins(29);
/// Times that a hub may answer 429 or 5xx in a row before the device registers again (the C SDK's bound).
pub(crate) const HUB_TRIES_BEFORE_REGISTRATION: u32 = 10;
/// Every so many 5xx of a hub the device asks the service where it belongs.
pub(crate) const HUB_TRIES_PER_LOOKUP: u32 = 3;
/// A connection that lasts so long ends all backoff.
pub(crate) const STABLE_CONNECTION: Duration = Duration::from_mins(1);
/// Largest file with an assignment that is read.
pub(crate) const MAX_CACHE_FILE: u64 = 1024 * 1024;
/// First pause between polls of a client that polls at once.
pub(crate) const EAGER_POLL_PAUSE: Duration = Duration::from_millis(100);
/// Lifetime of a SAS token for provisioning, in seconds.
pub(crate) const PROVISIONING_TOKEN_LIFETIME: i64 = 3_600;
/// Lifetime of a SAS token for a hub, in seconds: a connection does not outlive its token.
pub(crate) const HUB_TOKEN_LIFETIME: i64 = 86_400;
/// Keep alive of a connection to a hub, in seconds.
pub(crate) const HUB_KEEP_ALIVE: u16 = 60;
/// Pause between two signs of life on it.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Requests to a hub that wait for their answer.
pub(crate) const MAX_REQUESTS_IN_FLIGHT: usize = 64;
/// Changes of desired properties that wait for the application; older ones are counted and dropped.
pub(crate) const MAX_DESIRED_WAITING: usize = 32;
/// Largest packet from a provisioning service: a body and its topic.
pub(crate) const MAX_PROVISIONING_PACKET: usize = dps_model::limits::MAX_MQTT_PACKET;
/// Largest packet from a hub.
pub(crate) const MAX_HUB_PACKET: usize = dps_model::limits::MAX_HUB_PACKET;
/// Largest message to a hub (IoT Hub: 256 KB).
pub(crate) const MAX_TELEMETRY: usize = 256 * 1024;
/// Longest text of a server that is repeated to a person, in characters.
pub(crate) const MAX_SERVER_TEXT: usize = 1_024;
/// Largest message of a server on a WebSocket; its frames are read as they come, so this costs no memory.
pub(crate) const MAX_WEBSOCKET_MESSAGE: u64 = 1024 * 1024;
/// Payload of one frame that is sent; more becomes several.
pub(crate) const MAX_WEBSOCKET_FRAME: usize = 16 * 1024;
/// Bytes asked of a stream at a time.
pub(crate) const READ_CHUNK: usize = 4 * 1024;
/// Largest command to a TPM and answer of one, in bytes (the kernel's and libtpms' bound alike).
pub(crate) const MAX_TPM_FRAME: usize = 4_096;
/// Most bytes that a TPM signs in one command (`MAX_DIGEST_BUFFER` of every TPM in use); a token's text is shorter.
pub(crate) const MAX_TPM_SIGNED: usize = 1_024;
/// Time that reaching a TPM's socket may take.
pub(crate) const TPM_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that one command may take on a socket: making an RSA key can take a chip most of a minute.
pub(crate) const TPM_TIMEOUT: Duration = Duration::from_mins(2);
/// Times that a TPM is asked which says that it is busy.
pub(crate) const TPM_TRIES: u32 = 50;
/// Pause between two of them.
pub(crate) const TPM_PAUSE: Duration = Duration::from_millis(100);
