//! Sliding window as a log: exact.
//!
//! The log of a limit of N is N places, each empty or taken until a window after its request. A
//! request takes an empty place with one compare-and-swap; when there is none, N requests lie within
//! the last window. No place depends on another one, so there is no order to keep and no head that
//! two writers could disagree about.
use super::cells::{Cell, CellTable, WORDS};
use super::{tag_of, tagged, untagged, Quota};
use std::sync::atomic::Ordering;

/// Highest limit that is kept as a log: ten cache lines. A scan of more costs more than it is worth;
/// above it the window is a weighted counter.
pub const MAX_LOG: u64 = 60;
const MAX_CELLS: usize = (MAX_LOG as usize).div_ceil(WORDS);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Ticks.
    pub window: u64,
    /// At most `MAX_LOG`.
    pub limit: u64,
}

/// The places of one key.
struct Places<'a> {
    cells: [Option<&'a Cell>; MAX_CELLS],
    tag: u64,
    limit: usize,
}

impl<'a> Places<'a> {
    /// Index of the place, its word, and until when it is taken (0: empty).
    fn each(&self, now: u64) -> impl Iterator<Item = (&'a Cell, usize, u64, u64)> + '_ {
        (0..self.limit).filter_map(move |place| {
            let cell = self.cells[place / WORDS]?;
            let word = cell.words[place % WORDS].load(Ordering::Acquire);
            let until = untagged(word, self.tag).filter(|&until| until > now);
            Some((cell, place % WORDS, word, until.unwrap_or(0)))
        })
    }
}

impl Log {
    fn places<'a>(self, table: &CellTable<'a>, key: u64, now: u64) -> Places<'a> {
        let mut cells = [None; MAX_CELLS];
        let used = (self.limit as usize).div_ceil(WORDS).min(MAX_CELLS);
        for (number, cell) in cells.iter_mut().take(used).enumerate() {
            *cell = Some(table.own(part(key, number as u64), now));
        }
        Places {
            cells,
            tag: tag_of(key),
            limit: self.limit as usize,
        }
    }

    fn judge(self, places: &Places<'_>, weight: u64, now: u64) -> Quota {
        let mut taken = [0; MAX_LOG as usize];
        let mut count = 0;
        for (.., until) in places.each(now) {
            if until > 0 {
                taken[count] = until;
                count += 1;
            }
        }
        let taken = &mut taken[..count];
        let left = self.limit - count as u64;
        let latest = taken.iter().copied().max().unwrap_or(now);
        if weight <= left {
            return Quota::allowed(left - weight, self.window.max(latest - now));
        }
        taken.sort_unstable();
        // The one whose end makes the last place that is needed; never, if the log is too small.
        let needed = (weight - left) as usize;
        let until = taken.get(needed - 1).copied().unwrap_or(latest);
        Quota::refused(left, latest - now, until.saturating_sub(now))
    }

    pub fn peek(self, table: &CellTable<'_>, key: u64, weight: u64, now: u64) -> Quota {
        self.judge(&self.places(table, key, now), weight, now)
    }

    pub fn acquire(self, table: &CellTable<'_>, key: u64, weight: u64, now: u64) -> Quota {
        let places = self.places(table, key, now);
        let quota = self.judge(&places, weight, now);
        if quota.allowed == 0 {
            return quota;
        }
        let end = now + self.window;
        let taken = self.take(&places, weight, now, end);
        if taken == weight {
            return quota;
        }
        // Others were faster.
        Self::release(&places, taken, end);
        let quota = self.judge(&places, weight, now);
        Quota {
            allowed: 0,
            retry_ns: quota.retry_ns.max(1),
            ..quota
        }
    }

    /// How many places it got.
    fn take(self, places: &Places<'_>, weight: u64, now: u64, end: u64) -> u64 {
        let mine = tagged(end, places.tag);
        let mut taken = 0;
        for cell in places.cells.iter().flatten() {
            cell.keep_until(end);
        }
        for (cell, place, word, until) in places.each(now) {
            if taken == weight {
                break;
            }
            if until == 0 {
                let (ok, no) = (Ordering::AcqRel, Ordering::Relaxed);
                let swap = cell.words[place].compare_exchange(word, mine, ok, no);
                taken += u64::from(swap.is_ok());
            }
        }
        taken
    }

    /// Empties `weight` places that are taken until `end`. Which of them does not matter: they are
    /// alike.
    fn release(places: &Places<'_>, weight: u64, end: u64) {
        let (mine, empty) = (tagged(end, places.tag), tagged(0, places.tag));
        let mut left = weight;
        for (cell, place, word, _) in places.each(0) {
            if left > 0 && word == mine {
                let (ok, no) = (Ordering::AcqRel, Ordering::Relaxed);
                let swap = cell.words[place].compare_exchange(mine, empty, ok, no);
                left -= u64::from(swap.is_ok());
            }
        }
    }

    /// Takes `weight` places, or as many as are empty.
    pub fn charge(self, table: &CellTable<'_>, key: u64, weight: u64, now: u64) {
        let places = self.places(table, key, now);
        self.take(&places, weight, now, now + self.window);
    }

    /// Gives back what `acquire` took at the same `now`.
    pub fn refund(self, table: &CellTable<'_>, key: u64, weight: u64, now: u64) {
        Self::release(&self.places(table, key, now), weight, now + self.window);
    }
}

/// The key of a log's further cells. The same tag, another place (splitmix64's multiplier).
fn part(key: u64, number: u64) -> u64 {
    let moved = key ^ number.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    moved & (u64::MAX >> 8) | key & !(u64::MAX >> 8)
}
