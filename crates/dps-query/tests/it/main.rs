//! Integration tests: `queries`, `pruning` and `engine` of the query engine over log stores made by hand (`fixture`), `oracle` of the legality of those
//! queries, and
//! `store_*` of the log store on a disk that fails, on a process that is killed, on damage. Must not
//! know the inside of the store: what a reader sees is what counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod engine;
mod fixture;
mod naive;
mod oracle;
mod pruning;
mod queries;
mod random;
mod store_crash;
mod store_disk;
mod store_keep;
mod store_kill;
mod store_rows;
mod store_scan;
