//! The routes port: which resource logs the built-in workspace takes.

use crate::logs::ResourceLog;

/// Where resource logs go. Asked for every row: it must answer from memory.
pub trait Routes: Send + Sync + 'static {
    /// Does a diagnostic setting send it to the built-in workspace? However many do, it goes there once.
    fn to_workspace(&self, log: &ResourceLog) -> bool;
}
