//! Requests and failures of the last some seconds, counted by all workers together.
//!
//! A ring of buckets, each one word that says which span of time it counts: an old bucket is begun
//! anew by whoever comes first, and a process may be killed between any two instructions.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// Spans that a window is divided into: it is exact to a tenth of its length.
pub const BUCKETS: usize = 10;

/// Bits of a bucket: 40.. number of its span (24), 20.. requests (20), 0.. failures (20).
const SPAN_SHIFT: u32 = 40;
const REQUESTS_SHIFT: u32 = 20;
const SPAN_MASK: u64 = (1 << 24) - 1;
/// A million requests in a tenth of a window; beyond it the ratio is known well enough.
const COUNT_MASK: u64 = (1 << 20) - 1;

#[derive(Debug, Default)]
#[repr(C)]
pub struct Window {
    buckets: [AtomicU64; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub failures: u64,
}

impl Totals {
    /// Whether there are enough requests to judge by, and too many of them failed.
    pub fn exceed(self, min_requests: u32, ratio_permille: u32) -> bool {
        self.requests >= u64::from(min_requests).max(1)
            && self.failures * 1000 >= self.requests * u64::from(ratio_permille)
    }
}

impl Window {
    /// `window_ms`: the length; the same for everyone who uses this window.
    pub fn add(&self, window_ms: u64, now_ms: u64, failed: bool) {
        let number = span(window_ms, now_ms);
        let bucket = &self.buckets[(number % BUCKETS as u64) as usize];
        // Relaxed: the word orders nothing but itself.
        let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            let number = number & SPAN_MASK;
            let counts = if old >> SPAN_SHIFT == number {
                old & !(SPAN_MASK << SPAN_SHIFT)
            } else {
                0
            };
            if counts >> REQUESTS_SHIFT == COUNT_MASK {
                return None;
            }
            Some(number << SPAN_SHIFT | (counts + (1 << REQUESTS_SHIFT) + u64::from(failed)))
        });
    }

    pub fn totals(&self, window_ms: u64, now_ms: u64) -> Totals {
        let number = span(window_ms, now_ms);
        let mut totals = Totals::default();
        for bucket in &self.buckets {
            let word = bucket.load(Ordering::Relaxed);
            let age = number.wrapping_sub(word >> SPAN_SHIFT) & SPAN_MASK;
            if age < BUCKETS as u64 {
                totals.requests += word >> REQUESTS_SHIFT & COUNT_MASK;
                totals.failures += word & COUNT_MASK;
            }
        }
        totals
    }

    pub fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

fn span(window_ms: u64, now_ms: u64) -> u64 {
    now_ms / (window_ms / BUCKETS as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_saturate_and_keep_their_ratio() {
        let window = Window::default();
        for _ in 0..COUNT_MASK + 10 {
            window.add(1000, 5, true);
        }
        let totals = window.totals(1000, 5);
        assert_eq!((totals.requests, totals.failures), (COUNT_MASK, COUNT_MASK));
    }

    #[test]
    fn the_number_of_a_span_may_wrap() {
        let window = Window::default();
        let late = (SPAN_MASK + 1) * 100;
        window.add(1000, late - 1, false);
        window.add(1000, late, true);
        assert_eq!(window.totals(1000, late).requests, 2);
        assert_eq!(window.totals(1000, late + 1000).requests, 0);
    }

    proptest! {
        /// What lies in the last ten spans counts, and nothing else.
        #[test]
        fn is_a_list_of_times(steps in prop::collection::vec((0..700_u64, any::<bool>()), 1..80)) {
            let window = Window::default();
            let mut now = 1_000_000;
            let mut seen: Vec<(u64, bool)> = Vec::new();
            for (step, failed) in steps {
                now += step;
                window.add(2000, now, failed);
                seen.push((now / 200, failed));
                let recent: Vec<_> = seen.iter().filter(|(span, _)| now / 200 - span < 10).collect();
                let failures = recent.iter().filter(|(_, failed)| *failed).count() as u64;
                let expected = Totals { requests: recent.len() as u64, failures };
                prop_assert_eq!(window.totals(2000, now), expected);
            }
        }
    }
}
