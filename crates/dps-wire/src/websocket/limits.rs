//! Bounds of the frame grammar that the standard sets.

/// Most data of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_DATA: usize = 125;
/// Longest header: two bytes, a length of eight, a mask of four (§5.2).
pub const MAX_HEADER: usize = 14;
