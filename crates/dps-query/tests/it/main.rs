//! Integration tests of the log store.

mod store_crash;
mod store_disk;
mod store_keep;
mod store_kill;
mod store_rows;
mod store_scan;
