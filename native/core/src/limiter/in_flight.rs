//! Requests of one key that are under way at the same time, over all workers of a host.
//!
//! Each worker counts in a word of its own: `| life 24 | count 32 | tag 8 |`. `life` is the number of
//! the process in its slot. When a worker dies, its successor's number is another one, and what the
//! dead one had under way counts no more, in all cells at once and without a search.
use super::cells::{Cell, CellTable, WORDS};
use super::{tag_of, tagged, untagged};
use std::sync::atomic::{AtomicU64, Ordering};

const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const LIFE_MASK: u64 = (1 << 24) - 1;
/// Ticks (an hour): how long a cell is kept for a request that does not end.
const LONGEST: u64 = 3_600_000_000_000 / super::TICK_NS;

/// `lives`: the number of the process in each slot.
pub struct InFlight<'a, Lives> {
    pub table: CellTable<'a>,
    pub lives: Lives,
}

fn count(word: u64, tag: u64, life: u64) -> u64 {
    match untagged(word, tag) {
        Some(value) if value >> COUNT_BITS == life & LIFE_MASK => value & COUNT_MASK,
        _ => 0,
    }
}

impl<'a, Lives: Iterator<Item = u64> + Clone> InFlight<'a, Lives> {
    fn cell(&self, key: u64, slot: usize, now: u64) -> &'a Cell {
        let number = (slot / WORDS) as u64;
        self.table.own(key.wrapping_add(number * 0x9E37_79B9), now)
    }

    /// How many are under way.
    pub fn sum(&self, key: u64, now: u64) -> u64 {
        let mut cell = None;
        let of_slot = |(slot, life): (usize, u64)| {
            if slot % WORDS == 0 {
                cell = Some(self.cell(key, slot, now));
            }
            let word = cell.map_or(0, |cell| cell.words[slot % WORDS].load(Ordering::SeqCst));
            count(word, tag_of(key), life)
        };
        self.lives.clone().enumerate().map(of_slot).sum()
    }

    /// One more, by the worker in `slot`, unless `limit` are under way. Two that enter the last place
    /// at the same time may both be refused; never are more than `limit` let in.
    pub fn enter(&self, key: u64, slot: usize, limit: u64, now: u64) -> bool {
        let cell = self.cell(key, slot, now);
        cell.keep_until(now + LONGEST);
        self.add(&cell.words[slot % WORDS], key, slot, 1);
        if self.sum(key, now) <= limit {
            return true;
        }
        self.add(&cell.words[slot % WORDS], key, slot, -1);
        false
    }

    /// One less.
    pub fn leave(&self, key: u64, slot: usize, now: u64) {
        let cell = self.cell(key, slot, now);
        self.add(&cell.words[slot % WORDS], key, slot, -1);
    }

    /// The word has one writer.
    fn add(&self, word: &AtomicU64, key: u64, slot: usize, delta: i64) {
        let (tag, life) = (tag_of(key), self.lives.clone().nth(slot).unwrap_or(0));
        let present = count(word.load(Ordering::Relaxed), tag, life);
        let next = present.saturating_add_signed(delta);
        let value = (life & LIFE_MASK) << COUNT_BITS | next;
        word.store(tagged(value, tag), Ordering::SeqCst);
    }
}
