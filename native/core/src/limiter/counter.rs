//! Windows that are counted: fixed, or sliding by weighing the window before.
//!
//! One word: | start 20 | before 18 | now 18 | tag 8 |. A window begins with the first request that
//! it takes, so a burst that fits into one is counted exactly. The sliding estimate takes the
//! requests of the window before as spread evenly over it (Cloudflare, "How we built rate limiting
//! capable of scaling to millions of domains", 2017). `start` counts steps of 1/256 window, modulo
//! 2^20: after 4096 idle windows an old count may be taken for a fresh one, for one window.
use super::cells::Cell;
use super::{tag_of, tagged, untagged, Quota};
use std::sync::atomic::Ordering;

/// Steps of a window.
const STEPS: u64 = 256;
const START_MASK: u64 = (1 << 20) - 1;
const COUNT_BITS: u32 = 18;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// What a count can hold.
pub const MAX_COUNT: u64 = COUNT_MASK;
/// Steps that a clock of another process may be ahead: four windows.
const MAX_SKEW: u64 = 4 * STEPS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Ticks of a step; at least 1.
    step: u64,
    limit: u64,
    sliding: bool,
}

#[derive(Clone, Copy)]
struct Window {
    start: u64,
    before: u64,
    count: u64,
    /// Steps since its start.
    age: u64,
}

impl Counter {
    pub fn new(window: u64, limit: u64, sliding: bool) -> Self {
        // Rounded up: a window may be 1/256 too long, never too short.
        let step = window.div_ceil(STEPS).max(1);
        Self {
            step,
            limit,
            sliding,
        }
    }

    fn window(self, word: u64, tag: u64, now: u64) -> Window {
        let present = (now / self.step) & START_MASK;
        let fresh = Window {
            start: present,
            before: 0,
            count: 0,
            age: 0,
        };
        let Some(value) = untagged(word, tag) else {
            return fresh;
        };
        let start = value >> (2 * COUNT_BITS);
        let before = value >> COUNT_BITS & COUNT_MASK;
        let count = value & COUNT_MASK;
        let age = present.wrapping_sub(start) & START_MASK;
        let ahead = age > START_MASK - MAX_SKEW;
        if age < STEPS || ahead {
            let age = if ahead { 0 } else { age };
            Window {
                start,
                before,
                count,
                age,
            }
        } else if age < 2 * STEPS && self.sliding {
            Window {
                start: (start + STEPS) & START_MASK,
                before: count,
                count: 0,
                age: age - STEPS,
            }
        } else {
            fresh
        }
    }

    fn used(self, window: Window) -> u64 {
        let weighed = if self.sliding {
            (window.before * (STEPS - window.age)).div_ceil(STEPS)
        } else {
            0
        };
        weighed + window.count
    }

    fn judge(self, window: Window, weight: u64) -> Result<Quota, Quota> {
        let used = self.used(window);
        let left = self.limit.saturating_sub(used);
        let rest = STEPS - window.age;
        if weight <= left {
            let windows = if self.sliding { STEPS } else { 0 };
            return Ok(Quota::allowed(left - weight, (rest + windows) * self.step));
        }
        let reset = if self.sliding && window.count > 0 {
            rest + STEPS
        } else {
            rest
        };
        let retry = self.steps_until(window, weight).clamp(1, reset.max(1));
        Err(Quota::refused(left, reset * self.step, retry * self.step))
    }

    /// Steps until `weight` more fits, if nothing else comes.
    fn steps_until(self, window: Window, weight: u64) -> u64 {
        let rest = STEPS - window.age;
        if !self.sliding {
            return rest;
        }
        // Steps that must have passed of a window until what is left of `old` fits beside `beside`.
        let passed = |old: u64, beside: u64| {
            let room = self.limit.saturating_sub(beside) * STEPS;
            STEPS - room.checked_div(old).unwrap_or(STEPS).min(STEPS)
        };
        if window.count + weight <= self.limit {
            passed(window.before, window.count + weight).saturating_sub(window.age)
        } else {
            rest + passed(window.count, weight)
        }
    }

    fn pack(window: Window, tag: u64) -> u64 {
        let counts = window.before << COUNT_BITS | window.count;
        tagged(window.start << (2 * COUNT_BITS) | counts, tag)
    }

    pub fn peek(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let word = cell.words[0].load(Ordering::Acquire);
        self.judge(self.window(word, tag_of(key), now), weight)
            .unwrap_or_else(|no| no)
    }

    pub fn acquire(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let (word, tag) = (&cell.words[0], tag_of(key));
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let mut window = self.window(seen, tag, now);
            let quota = match self.judge(window, weight) {
                Ok(quota) => quota,
                Err(refused) => return refused,
            };
            window.count += weight;
            cell.keep_until(now + 2 * STEPS * self.step);
            let (ok, no) = (Ordering::AcqRel, Ordering::Acquire);
            match word.compare_exchange_weak(seen, Self::pack(window, tag), ok, no) {
                Ok(_) => return quota,
                Err(found) => seen = found,
            }
        }
    }

    /// Takes `weight` whether it fits or not.
    pub fn charge(self, cell: &Cell, key: u64, weight: u64, now: u64) {
        let tag = tag_of(key);
        let most = (2 * self.limit).min(MAX_COUNT);
        let take = |word: u64| {
            let mut window = self.window(word, tag, now);
            window.count = (window.count + weight).min(most.max(window.count));
            Some(Self::pack(window, tag))
        };
        cell.keep_until(now + 2 * STEPS * self.step);
        let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    }

    /// Gives back what `acquire` took, if its window is still there.
    pub fn refund(self, cell: &Cell, key: u64, weight: u64) {
        let tag = tag_of(key);
        let back = |word: u64| {
            let value = untagged(word, tag)?;
            let kept = (value & COUNT_MASK).saturating_sub(weight);
            Some(tagged(value & !COUNT_MASK | kept, tag))
        };
        let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, back);
    }
}
