//! What the process is told by its environment: secrets that the file names, and what systemd says. The one place that
//! reads it.

use std::path::PathBuf;
use std::time::Duration;

/// Reads a variable; tests give another.
pub type Variable = fn(&str) -> Option<String>;

/// A variable's text; none when it is unset, empty or no text.
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}

/// Where systemd listens (`sd_notify`); none when it did not start this process.
pub fn notify_socket() -> Option<String> {
    variable("NOTIFY_SOCKET")
}

/// Within which time systemd wants to hear from this process, when it wants to.
pub fn watchdog() -> Option<Duration> {
    // The variable of another process is none of ours (`sd_watchdog_enabled`).
    if let Some(pid) = variable("WATCHDOG_PID")
        && pid != std::process::id().to_string()
    {
        return None;
    }
    variable("WATCHDOG_USEC")?.parse().ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

/// The file of a credential that systemd loaded for this process (`LoadCredential=`).
pub fn credential(variable: Variable, name: &str) -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(name))
}
