//! Which of many byte strings were seen lately, in bounded memory: each has a slot, a small number,
//! under which its owner keeps what belongs to it. The one used longest ago gives way.
//!
//! Made for credentials: long, with a tail that nobody can choose (a signature, a checksum behind a
//! secret), so the hash reads the tail alone. Whole strings are compared, so a forged head or tail
//! finds nothing. What is not in the table cannot be put there from outside.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use crate::keyed_hash::HashKey;

/// Bytes of the tail that are hashed: half of an ES256 signature, 256 bits.
const TAIL: usize = 32;
/// What an entry costs besides its bytes: two references, the links, its place in the table.
const ENTRY_OVERHEAD: usize = 96;

/// Index 0 of the entries is the list's head: its `next` was used last, its `previous` longest ago.
const HEAD: u32 = 0;

#[derive(Clone, Copy)]
struct TailHash(HashKey);

struct TailHasher {
    key: HashKey,
    hash: u64,
}

impl BuildHasher for TailHash {
    type Hasher = TailHasher;

    fn build_hasher(&self) -> TailHasher {
        TailHasher {
            key: self.0,
            hash: 0,
        }
    }
}

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
        self.hash ^= self.key.hash(tail);
    }

    // A slice's length comes before its bytes.
    fn write_usize(&mut self, length: usize) {
        self.hash ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

struct Entry {
    bytes: Arc<[u8]>,
    previous: u32,
    next: u32,
}

/// Slots are the numbers from 1 up to `max_entries`; one that is given up is given out again.
pub struct Lru {
    slots: HashMap<Arc<[u8]>, u32, TailHash>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    max_entries: usize,
    max_bytes: usize,
    bytes: usize,
}

impl Lru {
    /// `max_bytes` bounds the strings together with what the table needs for them.
    pub fn new(key: HashKey, max_entries: u32, max_bytes: usize) -> Self {
        let head = Entry {
            bytes: Arc::default(),
            previous: HEAD,
            next: HEAD,
        };
        Self {
            slots: HashMap::with_hasher(TailHash(key)),
            entries: vec![head],
            free: Vec::new(),
            max_entries: max_entries as usize,
            max_bytes,
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slot of `bytes`, which are now the ones used last.
    #[inline]
    pub fn find(&mut self, bytes: &[u8]) -> Option<u32> {
        let slot = *self.slots.get(bytes)?;
        if self.entries[HEAD as usize].next != slot {
            self.unlink(slot);
            self.link_first(slot);
        }
        Some(slot)
    }

    /// Makes room for a string of this length: one slot that is given up, until there are none to
    /// give up or none have to be. The owner lets go of what it kept there, and asks again.
    pub fn evict_for(&mut self, length: usize) -> Option<u32> {
        let fits =
            self.len() < self.max_entries && self.bytes + length + ENTRY_OVERHEAD <= self.max_bytes;
        let oldest = self.entries[HEAD as usize].previous;
        if fits || oldest == HEAD {
            return None;
        }
        self.remove(oldest);
        Some(oldest)
    }

    /// A slot for `bytes`; the same one if they have one. None when there is no room: see `evict_for`.
    pub fn insert(&mut self, bytes: &[u8]) -> Option<u32> {
        if let Some(slot) = self.find(bytes) {
            return Some(slot);
        }
        let cost = bytes.len() + ENTRY_OVERHEAD;
        if self.len() >= self.max_entries || self.bytes + cost > self.max_bytes {
            return None;
        }
        let bytes: Arc<[u8]> = bytes.into();
        let slot = self.free.pop().unwrap_or(self.entries.len() as u32);
        let entry = Entry {
            bytes: bytes.clone(),
            previous: HEAD,
            next: HEAD,
        };
        match self.entries.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.slots.insert(bytes, slot);
        self.bytes += cost;
        self.link_first(slot);
        Some(slot)
    }

    /// Gives up a slot that is in use.
    pub fn remove(&mut self, slot: u32) {
        let bytes = std::mem::take(&mut self.entries[slot as usize].bytes);
        if self.slots.remove(&bytes).is_some() {
            self.bytes -= bytes.len() + ENTRY_OVERHEAD;
            self.unlink(slot);
            self.free.push(slot);
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { previous, next, .. } = self.entries[slot as usize];
        self.entries[previous as usize].next = next;
        self.entries[next as usize].previous = previous;
    }

    fn link_first(&mut self, slot: u32) {
        let first = self.entries[HEAD as usize].next;
        self.entries[slot as usize].previous = HEAD;
        self.entries[slot as usize].next = first;
        self.entries[first as usize].previous = slot;
        self.entries[HEAD as usize].next = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lru(max_entries: u32, max_bytes: usize) -> Lru {
        Lru::new(HashKey([1, 2]), max_entries, max_bytes)
    }

    #[test]
    fn strings_with_one_tail_are_different() {
        let mut lru = lru(4, 4096);
        let tail = [7; TAIL];
        let (a, b) = (
            [b"a".as_slice(), &tail].concat(),
            [b"b".as_slice(), &tail].concat(),
        );
        let slot = lru.insert(&a).unwrap();
        assert_eq!(lru.find(&b), None);
        assert_ne!(lru.insert(&b), Some(slot));
        assert_eq!(lru.find(&a), Some(slot));
    }

    #[test]
    fn what_can_never_fit_is_not_taken() {
        let mut lru = lru(4, 200);
        lru.insert(b"a").unwrap();
        assert_eq!(lru.evict_for(200), Some(1));
        assert_eq!(lru.evict_for(200), None);
        assert_eq!(lru.insert(&[0; 200]), None);
        assert_eq!((lru.len(), lru.bytes()), (0, 0));
    }

    proptest! {
        /// Beside a list, the string used last in front.
        #[test]
        fn as_a_list(steps in proptest::collection::vec((0_u8..3, 0_u8..12, 1_usize..40), 0..200)) {
            let mut lru = lru(5, 5 * ENTRY_OVERHEAD + 60);
            let mut model: Vec<(Vec<u8>, u32)> = Vec::new();
            for (step, name, length) in steps {
                let bytes = vec![name; length];
                let known = model.iter().position(|(other, _)| *other == bytes);
                match (step, known) {
                    (0, at) => {
                        prop_assert_eq!(lru.find(&bytes), at.map(|at| model[at].1));
                        if let Some(at) = at {
                            let entry = model.remove(at);
                            model.insert(0, entry);
                        }
                    }
                    (1, Some(at)) => lru.remove(model.remove(at).1),
                    (2, None) => {
                        while let Some(slot) = lru.evict_for(length) {
                            prop_assert_eq!(model.pop().map(|(_, slot)| slot), Some(slot));
                        }
                        let slot = lru.insert(&bytes).unwrap();
                        prop_assert!(model.iter().all(|(_, other)| *other != slot));
                        model.insert(0, (bytes, slot));
                    }
                    _ => {}
                }
                let bytes: usize = model.iter().map(|(bytes, _)| bytes.len() + ENTRY_OVERHEAD).sum();
                prop_assert_eq!((lru.len(), lru.bytes()), (model.len(), bytes));
            }
        }
    }
}
