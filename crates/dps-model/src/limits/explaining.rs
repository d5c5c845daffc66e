//! Limits of explanations: what is looked up to name a cause, off the registration's path.

/// Instances among which an unknown id scope or an enrollment is looked for.
pub const MAX_KNOWN_SCOPES: usize = 256;
/// Places of the ids that a search for a typing error goes to, for each number of letters that may differ.
pub const MAX_NEAR_SEEKS: usize = 512;
/// Ids read at each.
pub const NEAR_SEEK_IDS: usize = 32;
/// Letters that may differ between an unknown id and the one that was meant.
pub const MAX_NEAR_DISTANCE: usize = 2;
/// Near ids that an explanation names.
pub const MAX_NEAR: usize = 3;
/// Enrollment groups whose keys and certificates an explanation looks at.
pub const MAX_KNOWN_GROUPS: usize = 256;
/// Registration ids that one endorsement key is looked for under.
pub const MAX_KNOWN_HOLDERS: usize = 4;
/// Events a second for which something is looked up; for more the record alone speaks.
pub const MAX_LOOKUPS_PER_SECOND: u64 = 50;
/// Milliseconds of each second after which nothing more is looked up in it: a slow store must not hold the recorder up.
pub const LOOKUP_TIME_PER_SECOND: u64 = 250;
/// Milliseconds that the lookups of one event may take.
pub const EXPLANATION_TIMEOUT: u64 = 250;
/// Devices whose last lookup is remembered: one that tries again and again is looked up once.
pub const MAX_KNOWN_REMEMBERED: u64 = 10_000;
/// Seconds for which it is.
pub const KNOWN_REMEMBERED: u64 = 30;
/// Events of a hub that one call tells: Event Grid sends 5,000 at most, of a quarter of a kilobyte and more.
pub const MAX_HUB_EVENTS: usize = 5_000;
/// Causes that an explanation names.
pub const MAX_CAUSES: usize = 4;
