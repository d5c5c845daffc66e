//! What a client prefers: how long it waits, and what comes beside the rows (`Prefer`, RFC 7240).

use std::time::Duration;

use dps_model::limits::{MAX_QUERY_TIME, QUERY_TIME};
use http::HeaderMap;

/// Preferences; what is not understood is ignored, as the RFC has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefer {
    pub(super) wait: Duration,
    pub(super) statistics: bool,
    pub(super) render: bool,
    pub(super) sources: bool,
}

impl Default for Prefer {
    fn default() -> Self {
        Self { wait: Duration::from_secs(QUERY_TIME), statistics: false, render: false, sources: false }
    }
}

impl Prefer {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        for value in headers.get_all("prefer") {
            read.take(&String::from_utf8_lossy(value.as_bytes()));
        }
        read
    }

    pub(super) fn of(text: &str) -> Self {
        let mut read = Self::default();
        read.take(text);
        read
    }

    fn take(&mut self, text: &str) {
        for preference in text.split([',', ';']) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, "true"));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            let wanted = value.eq_ignore_ascii_case("true");
            if name.eq_ignore_ascii_case("wait") {
                if let Ok(seconds) = value.parse::<u64>() {
                    self.wait = Duration::from_secs(seconds.clamp(1, MAX_QUERY_TIME));
                }
            } else if name.eq_ignore_ascii_case("include-statistics") {
                self.statistics = wanted;
            } else if name.eq_ignore_ascii_case("include-render") {
                self.render = wanted;
            } else if name.eq_ignore_ascii_case("include-datasources") {
                self.sources = wanted;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Prefer;

    #[test]
    fn preferences_are_read_bounded_and_unknown_ones_ignored() {
        let read = Prefer::of("wait=60,include-statistics=true, Include-Render=true; ai.response=x");
        assert_eq!(
            (read.wait.as_secs(), read.statistics, read.render, read.sources),
            (60, true, true, false)
        );
        assert_eq!(Prefer::of("wait=99999").wait.as_secs(), 600);
        assert_eq!(Prefer::of("wait=0").wait.as_secs(), 1);
        assert_eq!(Prefer::of("wait=soon").wait.as_secs(), 180);
    }
}
