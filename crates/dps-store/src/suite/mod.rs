//! The behaviour of every store, as tests.
