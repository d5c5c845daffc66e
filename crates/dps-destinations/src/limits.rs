//! Every bound of this crate, by name. Sizes are bytes.

/// Longest resource id that is made into a path (Azure's longest names come to some 400 characters).
pub const MAX_RESOURCE_ID: usize = 1_024;
/// Largest record as JSON: what the smallest destination takes with its envelope (Event Hubs: 1 MB a message).
pub const MAX_RECORD: usize = 512 << 10;
/// How far back from the end of a file a line that a crash tore is looked for: no line is longer.
pub const MAX_TORN_LINE: u64 = 1 << 20;
