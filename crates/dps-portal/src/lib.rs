//! The portal's pages: the built files of `dist/`, embedded in the binary, as answers to requests below `/portal/`.
//!
//! Owns content types, caching, compression and the headers that fence the pages in. Must not know sessions, APIs or
//! listeners; what the pages do is built from `web/`.

mod assets;
mod content_type;
mod headers;

pub use assets::{ROOT, answer, claims};
