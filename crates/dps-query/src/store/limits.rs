//! The bounds of the log store.

/// Bytes of rows in one append: what is more is refused. A recorder's batch is a hundredth of it.
pub const MAX_APPEND_BYTES: usize = 32 << 20;
/// Bytes of a write-ahead segment; then the next one is begun.
pub const MAX_SEGMENT_BYTES: u64 = 64 << 20;
/// The most that `StoreOptions::hot_bytes` may be. Twice as much is rolled as one batch in the worst case, and text of
/// one column of a batch has 31-bit offsets.
pub const MAX_HOT_BYTES: u64 = 512 << 20;
/// Rows of one batch in memory: smaller ones grow together up to it.
pub const MAX_BATCH_ROWS: usize = 8192;
/// Rows of a row group of a file: what a reader decodes at once.
pub const ROW_GROUP_ROWS: usize = 128 << 10;
/// Rows of a page: what a reader can leave out.
pub const PAGE_ROWS: usize = 8192;
/// Files below this are merged.
pub const SMALL_FILE_BYTES: u64 = 16 << 20;
/// Files that one merge takes.
pub const MAX_MERGE_FILES: usize = 64;
/// Bytes of files that one merge takes: it holds them, and writes about as many.
pub const MAX_MERGE_BYTES: u64 = 48 << 20;
/// Rows of each of its files that it holds decoded.
pub const MERGE_BATCH_ROWS: usize = 512;
/// Small files of an hour that goes on, before they are merged. Those of a past hour are merged from two on.
pub const OPEN_HOUR_FILES: usize = 16;
/// Merges in one call of `maintain`.
pub const MAX_MERGES: usize = 64;
/// Bytes of a manifest or of a file's footer that are read.
pub const MAX_META_BYTES: u64 = 64 << 20;
/// Places in one segment at which reading tries to go on after damage.
pub const MAX_RESUMPTIONS: usize = 10_000;
/// The last tick that a cell may hold: the end of 9999-12-31.
pub const MAX_TICKS: i64 = 3_155_378_975_999_999_999;
