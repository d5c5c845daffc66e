//! The portal of a running server: its pages, and the APIs beside them on both ports.

mod oidc;
mod pages;
mod sessions;
