//! Why a device's conversation ends, whatever it spoke.

/// Why a conversation ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It said so.
    Left,
    /// The stream ended or failed.
    Gone,
    /// Nothing came within its time, or nothing was read from us in time.
    Silent,
    /// The place was taken away.
    Displaced,
    /// The token's time is over.
    Expired,
    /// It was refused, told so and recorded.
    Refused,
    /// The server stops.
    Stopped,
    /// It broke a rule.
    Broke(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Left => "it said goodbye",
            Self::Gone => "the connection ended",
            Self::Silent => "it was silent for too long",
            Self::Displaced => "another connection took its place, or its identity changed",
            Self::Expired => "its token expired",
            Self::Refused => "it was refused",
            Self::Stopped => "the server stops",
            Self::Broke(why) => why,
        })
    }
}
