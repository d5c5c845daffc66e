//! Limits of the portal: who is signed in, and what its pages ask.

/// Seconds that somebody is signed in at most.
pub const SESSION_LIFE: i64 = 8 * 3_600;
/// Seconds without a call after which a session is over.
pub const SESSION_IDLE: i64 = 3_600;
/// Sessions of a server; the one that was idle longest makes place for another.
pub const MAX_SESSIONS: usize = 4_096;
/// Sessions of one policy, token or person; so that one cannot end those of all others.
pub const MAX_SESSIONS_OF_ONE: usize = 64;
/// Bytes of a session's id (RFC 6750 and OWASP ask for 128 bits at least).
pub const SESSION_ID: usize = 32;
/// Failed attempts to sign in from one address within `SIGN_IN_WINDOW`; then it has to wait for the window's end.
pub const SIGN_IN_FAILURES: u32 = 10;
/// Seconds for which failed attempts to sign in are counted together.
pub const SIGN_IN_WINDOW: i64 = 300;
/// Addresses whose failed attempts are remembered.
pub const MAX_SIGN_IN_ADDRESSES: usize = 4_096;
/// Bytes of a query that is looked at while it is written; what dps-kql takes for that.
pub const MAX_KQL_TEXT: usize = 64 * 1024;
/// Queries that are looked at at once while they are written.
pub const MAX_ASSISTED_AT_ONCE: usize = 4;
