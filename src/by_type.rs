//! Maps by type. The id of a type is a hash already; another one of it would be a good part of what a
//! hook does.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type ByType<V> = HashMap<TypeId, V, BuildHasherDefault<Id>>;

/// The hash that a `TypeId` hands over.
#[derive(Default)]
pub(crate) struct Id(u64);

impl Hasher for Id {
    fn write_u64(&mut self, part: u64) {
        self.0 ^= part;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
