//! Bounds of rehearsals.

/// Most rehearsals at once.
pub const MAX_REHEARSALS: usize = 4;
