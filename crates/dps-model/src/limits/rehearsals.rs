//! Bounds of rehearsals.

/// Most rehearsals at once.
pub const MAX_REHEARSALS: usize = 4;
/// Bytes of what refused devices showed last that are remembered, in memory.
pub const MAX_SHOWN_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that remembering one costs beside what it showed.
pub const SHOWN_OVERHEAD: usize = 512;
/// Seconds for which it is remembered.
pub const SHOWN_REMEMBERED: u64 = 7 * 86_400;
