//! Token bucket as GCRA: one word holds the theoretical arrival time, when the bucket is full again.
//!
//! A bucket of `burst` tokens, one more each `interval`. `weight` tokens move the time on by as many
//! intervals; they are there as long as it then lies within `burst` intervals from now.
use super::cells::Cell;
use super::{tag_of, tagged, untagged, Quota};
use std::sync::atomic::Ordering;

/// What a bucket is made of, ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub interval: u64,
    pub burst: u64,
}

impl Bucket {
    fn tolerance(self) -> u64 {
        self.interval * self.burst
    }

    fn judge(self, full_at: u64, weight: u64, now: u64) -> Result<Quota, Quota> {
        let tolerance = self.tolerance();
        let used = full_at - now;
        let after = used.saturating_add(weight.saturating_mul(self.interval));
        if after <= tolerance {
            return Ok(Quota::allowed((tolerance - after) / self.interval, after));
        }
        let remaining = tolerance.saturating_sub(used) / self.interval;
        // More than the bucket holds is never there; then say when it is full.
        let retry = if weight > self.burst {
            used
        } else {
            after - tolerance
        };
        Err(Quota::refused(remaining, used, retry))
    }

    fn full_at(word: u64, tag: u64, now: u64) -> u64 {
        untagged(word, tag).map_or(now, |full_at| full_at.max(now))
    }

    pub fn peek(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let word = cell.words[0].load(Ordering::Acquire);
        let full_at = Self::full_at(word, tag_of(key), now);
        self.judge(full_at, weight, now).unwrap_or_else(|no| no)
    }

    #[inline]
    pub fn acquire(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let (word, tag) = (&cell.words[0], tag_of(key));
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let full_at = Self::full_at(seen, tag, now);
            let quota = match self.judge(full_at, weight, now) {
                Ok(quota) => quota,
                Err(refused) => return refused,
            };
            let next = full_at + weight * self.interval;
            cell.keep_until(next);
            let (ok, no) = (Ordering::AcqRel, Ordering::Acquire);
            match word.compare_exchange_weak(seen, tagged(next, tag), ok, no) {
                Ok(_) => return quota,
                Err(found) => seen = found,
            }
        }
    }

    /// Takes `weight` whether it is there or not.
    pub fn charge(self, cell: &Cell, key: u64, weight: u64, now: u64) {
        let tag = tag_of(key);
        let most = now + 2 * self.tolerance();
        let take = |word: u64| {
            let after =
                Self::full_at(word, tag, now).saturating_add(weight.saturating_mul(self.interval));
            Some(tagged(after.min(most), tag))
        };
        cell.keep_until(most);
        let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    }

    /// Gives back what `acquire` took.
    pub fn refund(self, cell: &Cell, key: u64, weight: u64) {
        let tag = tag_of(key);
        let back = |word: u64| {
            let full_at = untagged(word, tag)?;
            Some(tagged(full_at.saturating_sub(weight * self.interval), tag))
        };
        // Not ours any more: then there is nothing to give back to.
        let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, back);
    }
}
