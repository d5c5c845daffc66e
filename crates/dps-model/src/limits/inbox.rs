//! What the inbox of unknown devices is bounded by. Sizes are bytes and times are seconds unless the name says otherwise.

/// Groups of unknown devices that are remembered, beside those that are ignored.
pub const MAX_INBOX_GROUPS: usize = 2_000;
/// Groups that stay when there are too many: room is made for many at once.
pub const INBOX_GROUPS_LEFT: usize = 1_800;
/// Groups that may be ignored: they stay for ever.
pub const MAX_INBOX_IGNORED: usize = 1_000;
/// Certificates and keys of all groups together.
pub const MAX_INBOX_BYTES: usize = 8 * 1024 * 1024;
/// Devices of a group that are remembered by name.
pub const MAX_INBOX_SAMPLES: usize = 16;
/// Device certificates of a group that are kept whole, so that the device can be let in.
pub const MAX_INBOX_CERTIFICATES: usize = 4;
/// Networks that a group is remembered to have asked from.
pub const MAX_INBOX_NETWORKS: usize = 8;
/// Seconds between two writes of what has changed.
pub const INBOX_FLUSH_INTERVAL: u64 = 5;
/// Groups written by one of them.
pub const MAX_INBOX_WRITES: usize = 200;
/// Groups of one commit.
pub const MAX_INBOX_WRITES_PER_COMMIT: usize = 50;
/// Certificates of a chain that an event holds whole, together; of a longer chain the first alone.
pub const MAX_PRESENTED: usize = 4 * 1024;
