//! A device's name in memory: a keyed hash, which is its own place in a table.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What is remembered of devices, each named by a number that `Throttle` drew with a key.
pub(super) type Devices<T> = HashMap<u64, T, BuildHasherDefault<Drawn>>;

/// Hashing what is a hash already: nobody outside can choose it.
#[derive(Debug, Default)]
pub(super) struct Drawn(u64);

impl Hasher for Drawn {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    /// Not asked for by a number; as good as any other hash.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
