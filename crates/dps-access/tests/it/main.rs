//! Who may do what: credentials as clients and strangers make them, against an instance.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

mod bearer;
mod hostile;
mod issuer;
mod keys;
mod oidc;
mod sas;
mod session;
mod site;
