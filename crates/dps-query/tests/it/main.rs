//! Integration tests: `store_*` of the log store on a disk that fails, on a process that is killed, on damage. Must not
//! know the inside of the store: what a reader sees is what counts.

mod store_crash;
mod store_disk;
mod store_keep;
mod store_kill;
mod store_rows;
mod store_scan;
