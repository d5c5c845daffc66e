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
/// Bytes of a client id, a scope or a name of the portal at an identity provider.
pub const MAX_PORTAL_CLIENT_TEXT: usize = 256;
/// Scopes that the portal asks an identity provider for.
pub const MAX_PORTAL_SCOPES: usize = 16;
/// Bytes of the portal's secret at an identity provider.
pub const MAX_PORTAL_SECRET: usize = 4 * 1024;
/// Bytes of the code that an identity provider sends a browser back with; Entra's has about 1,500.
pub const MAX_SIGN_IN_CODE: usize = 8 * 1024;
/// Bytes of an identity provider's answer to that code: it holds tokens.
pub const MAX_TOKEN_ANSWER: usize = 128 * 1024;
/// Seconds that somebody has to sign in at an identity provider.
pub const SIGN_IN_TIME: i64 = 600;
/// Longest cookie of the portal that is looked at; ours have 43 to 46 characters.
pub const MAX_PORTAL_COOKIE: usize = 64;
