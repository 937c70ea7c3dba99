//! Maps sparse keys to positions: open addressing with linear probing, in shared memory, for one
//! writer and any number of readers. Keys are never removed.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a position holds until it is claimed; zero, because fresh shared memory is.
const EMPTY: u64 = 0;

#[repr(C, align(64))]
pub struct KeyTable<const SIZE: usize> {
    used: AtomicU32,
    keys: [AtomicU64; SIZE],
}

impl<const SIZE: usize> KeyTable<SIZE> {
    const INDEX_BITS: u32 = {
        assert!(SIZE.is_power_of_two());
        SIZE.ilog2()
    };

    /// Where `key` (not 0) is. A new key is given a position unless `limit` keys have one already.
    #[inline]
    pub fn position(&self, key: u64, limit: usize) -> Option<usize> {
        // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4): 2^64 / golden ratio. The keys are built from
        // our own ids, so nobody can choose them to collide.
        let start = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - Self::INDEX_BITS);
        for probe in 0..SIZE {
            let at = (start as usize + probe) & (SIZE - 1);
            let found = self.keys[at].load(Ordering::Relaxed);
            if found == key {
                return Some(at);
            }
            if found == EMPTY {
                return self.claim(at, key, limit);
            }
        }
        None
    }

    #[cold]
    fn claim(&self, at: usize, key: u64, limit: usize) -> Option<usize> {
        let used = self.used.load(Ordering::Relaxed);
        if used as usize >= limit {
            return None;
        }
        // The only writer, so no compare-and-swap. Killed between the two stores, it leaves a key
        // that is not counted: the limit is then one higher, and stays below SIZE.
        self.keys[at].store(key, Ordering::Relaxed);
        self.used.store(used + 1, Ordering::Relaxed);
        Some(at)
    }

    /// Positions in use, with their keys.
    pub fn entries(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let keys = self.keys.iter().map(|key| key.load(Ordering::Relaxed));
        keys.enumerate().filter(|&(_, key)| key != EMPTY)
    }
}
