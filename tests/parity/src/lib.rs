//! The parity matrix: what a device is told, and what is stored and recorded of it, is the same over every protocol.
//!
//! Owns nothing but its tests (`tests/it`), which join the real device API, core and store in one process; it must
//! not be used by any other crate. The page that it writes is docs/reference/protocols.md.
