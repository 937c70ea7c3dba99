//! What all workers of a host know of one endpoint: its health, its ejections, how fast it answers.
//!
//! Lies in the shared segment; zeroed memory is an endpoint of which nothing is known.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::estimate::Mean;
use crate::window::Window;

/// What the active checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Unknown = 0,
    Healthy = 1,
    Unhealthy = 2,
}

impl Health {
    pub const ALL: [Health; 3] = [Health::Unknown, Health::Healthy, Health::Unhealthy];

    pub fn name(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// Time in which the weight of what was observed falls to 1/e: long enough to see past one slow
/// answer, short enough to notice a recovery (Finagle's default).
const DECAY_MS: f64 = 10_000.0;
/// Stamps that are "older" than this are of a moment ago, seen from the one before.
const AHEAD_MS: u32 = u32::MAX - 60_000;
/// An endpoint that was let be for this many times `eject_for` begins with short ejections again.
const FORGIVEN_AFTER: u64 = 10;

/// When an endpoint is sat out for a while, because requests to it fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ejection {
    /// In a row; 0 = does not matter.
    pub consecutive_failures: u32,
    /// Of the requests in the window; 0 = does not matter.
    pub failure_permille: u32,
    /// Of the set's median that an endpoint's mean latency may be, percent; 0 = does not matter.
    pub latency_percent: u32,
    /// A mean below this is never too long.
    pub latency_floor_us: u64,
    pub min_requests: u32,
    pub window_ms: u64,
    /// The first time; each further time it is longer by as much …
    pub eject_for_ms: u64,
    /// … up to this.
    pub eject_max_ms: u64,
}

impl Ejection {
    pub fn is_on(&self) -> bool {
        self.consecutive_failures != 0 || self.failure_permille != 0 || self.latency_percent != 0
    }
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct EndpointCell {
    health: AtomicU32,
    /// In the present series.
    ejections: AtomicU32,
    ejected_until_ms: AtomicU64,
    /// When it came, or came back: its slow start begins here. 0 = never seen.
    since_ms: AtomicU64,
    /// Peak EWMA. Bits: 32.. when it was observed, ms (wraps after 49 days), 0.. µs.
    latency: AtomicU64,
    failures_in_a_row: AtomicU32,
    window: Window,
    mean: Mean,
}

impl EndpointCell {
    /// As if nothing were known. Nobody may be using it.
    pub fn clear(&self) {
        let Self {
            health,
            ejections,
            ejected_until_ms,
            since_ms,
            latency,
            failures_in_a_row,
            window,
            mean,
        } = self;
        for word in [health, ejections, failures_in_a_row] {
            word.store(0, Relaxed);
        }
        for word in [ejected_until_ms, since_ms, latency] {
            word.store(0, Relaxed);
        }
        window.clear();
        mean.clear();
    }

    /// An endpoint that is named for the first time begins slowly; one that is known goes on.
    pub fn appear(&self, now_ms: u64) {
        let _ = self
            .since_ms
            .compare_exchange(0, now_ms.max(1), Relaxed, Relaxed);
    }

    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            1 => Health::Healthy,
            2 => Health::Unhealthy,
            _ => Health::Unknown,
        }
    }

    /// Only the control process writes this.
    pub fn set_health(&self, health: Health, now_ms: u64) {
        if self.health() == Health::Unhealthy && health == Health::Healthy {
            self.since_ms.store(now_ms.max(1), Relaxed);
        }
        self.health.store(health as u32, Relaxed);
    }

    #[inline]
    pub fn is_usable(&self, now_ms: u64) -> bool {
        self.health.load(Relaxed) != Health::Unhealthy as u32
            && self.ejected_until_ms.load(Relaxed) <= now_ms
    }

    /// 0 = never.
    pub fn ejected_until_ms(&self) -> u64 {
        self.ejected_until_ms.load(Relaxed)
    }

    /// ms since it came, came back or was let in again.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        let since_ms = self.since_ms.load(Relaxed).max(self.ejected_until_ms());
        now_ms.saturating_sub(since_ms)
    }

    // ---- Ejection -----------------------------------------------------------------------------

    /// What became of a request. True if the endpoint deserves to be ejected for it.
    pub fn judge(&self, rules: &Ejection, failed: bool, now_ms: u64) -> bool {
        if rules.failure_permille != 0 || rules.latency_percent != 0 {
            self.window.add(rules.window_ms, now_ms, failed);
        }
        if !failed {
            if self.failures_in_a_row.load(Relaxed) != 0 {
                self.failures_in_a_row.store(0, Relaxed);
            }
            return false;
        }
        let in_a_row = self.failures_in_a_row.fetch_add(1, Relaxed) + 1;
        let totals = || self.window.totals(rules.window_ms, now_ms);
        (rules.consecutive_failures != 0 && in_a_row >= rules.consecutive_failures)
            || (rules.failure_permille != 0
                && totals().exceed(rules.min_requests, rules.failure_permille))
    }

    /// True for the one caller that has done it.
    pub fn eject(&self, rules: &Ejection, now_ms: u64) -> bool {
        let before_ms = self.ejected_until_ms();
        if before_ms > now_ms {
            return false;
        }
        let forgiven = now_ms - before_ms > FORGIVEN_AFTER * rules.eject_for_ms;
        let times = if forgiven {
            1
        } else {
            self.ejections.load(Relaxed).saturating_add(1)
        };
        let longest_ms = rules.eject_max_ms.max(rules.eject_for_ms);
        let until_ms = now_ms + (rules.eject_for_ms * u64::from(times)).min(longest_ms);
        let swap = self
            .ejected_until_ms
            .compare_exchange(before_ms, until_ms, Relaxed, Relaxed);
        if swap.is_err() {
            return false;
        }
        self.ejections.store(times, Relaxed);
        self.failures_in_a_row.store(0, Relaxed);
        self.window.clear();
        self.mean.clear();
        true
    }

    /// A request of which nothing is known but how long it was.
    pub fn count(&self, rules: &Ejection, now_ms: u64) {
        self.window.add(rules.window_ms, now_ms, false);
    }

    /// Takes the latency of an answer into its mean.
    pub fn time(&self, latency_us: u64) {
        self.mean.observe(latency_us);
    }

    /// Mean latency of its answers, µs; None with too few requests in the window to judge by.
    pub fn mean_us(&self, rules: &Ejection, now_ms: u64) -> Option<u64> {
        let requests = self.window.totals(rules.window_ms, now_ms).requests;
        let mean_us = self.mean.value_us();
        (mean_us != 0 && requests >= u64::from(rules.min_requests)).then_some(mean_us)
    }

    // ---- Latency ------------------------------------------------------------------------------

    /// Takes an answer's latency into the average: a higher one counts at once, a lower one by and
    /// by. When two workers write at the same time one observation is lost, which does no harm.
    pub fn observe(&self, latency_us: u64, now_ms: u64) {
        let latency_us = latency_us.clamp(1, u64::from(u32::MAX));
        let observed = latency_us as f64;
        let (average, weight) = self.decayed(now_ms);
        let mean = if observed > average {
            observed
        } else {
            average * weight + observed * (1.0 - weight)
        };
        let word = (now_ms & 0xFFFF_FFFF) << 32 | mean.max(1.0) as u64;
        self.latency.store(word, Relaxed);
    }

    /// µs; 0 as long as nothing was observed. Falls while nobody asks, so that an endpoint which
    /// was slow once is tried again.
    #[inline]
    pub fn latency_us(&self, now_ms: u64) -> f64 {
        let (average, weight) = self.decayed(now_ms);
        average * weight
    }

    fn decayed(&self, now_ms: u64) -> (f64, f64) {
        let word = self.latency.load(Relaxed);
        // Another worker's clock may have been read a little later than ours.
        let elapsed_ms = match (now_ms as u32).wrapping_sub((word >> 32) as u32) {
            AHEAD_MS.. => 0,
            elapsed_ms => elapsed_ms,
        };
        let weight = (-f64::from(elapsed_ms) / DECAY_MS).exp();
        ((word & 0xFFFF_FFFF) as f64, weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Ejection = Ejection {
        consecutive_failures: 3,
        failure_permille: 0,
        latency_percent: 0,
        latency_floor_us: 0,
        min_requests: 0,
        window_ms: 10_000,
        eject_for_ms: 1000,
        eject_max_ms: 2500,
    };

    #[test]
    fn health_and_ejection_both_exclude() {
        let cell = EndpointCell::default();
        assert!(cell.is_usable(5));
        cell.set_health(Health::Unhealthy, 5);
        assert!(!cell.is_usable(5));
        cell.set_health(Health::Healthy, 9);
        assert!(cell.is_usable(9));
        assert_eq!(cell.age_ms(10), 1);
        assert!(cell.eject(&RULES, 10));
        assert!(!cell.is_usable(1009));
        assert!(cell.is_usable(1010));
        assert_eq!(cell.age_ms(1015), 5);
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_saves() {
        let cell = EndpointCell::default();
        let failed = [true, true, false, true, true, true];
        let verdicts = failed.map(|failed| cell.judge(&RULES, failed, 0));
        assert_eq!(verdicts, [false, false, false, false, false, true]);
    }

    #[test]
    fn the_ratio_ejects() {
        let rules = Ejection {
            consecutive_failures: 0,
            failure_permille: 400,
            min_requests: 5,
            ..RULES
        };
        let cell = EndpointCell::default();
        let failed = [true, false, true, false, false, true];
        let verdicts = failed.map(|failed| cell.judge(&rules, failed, 0));
        assert_eq!(verdicts, [false, false, false, false, false, true]);
    }

    #[test]
    fn ejections_grow_are_bounded_and_forgiven() {
        let cell = EndpointCell::default();
        let mut now = 100_000;
        let mut lengths = Vec::new();
        for _ in 0..4 {
            assert!(cell.eject(&RULES, now));
            assert!(!cell.eject(&RULES, now), "it is out already");
            lengths.push(cell.ejected_until_ms() - now);
            now = cell.ejected_until_ms();
        }
        assert_eq!(lengths, [1000, 2000, 2500, 2500]);
        now += 10_001;
        assert!(cell.eject(&RULES, now));
        assert_eq!(cell.ejected_until_ms() - now, 1000);
    }

    #[test]
    fn latency_rises_at_once_and_falls_slowly() {
        let cell = EndpointCell::default();
        assert_eq!(cell.latency_us(0), 0.0);
        cell.observe(1000, 10);
        assert_eq!(cell.latency_us(10), 1000.0);
        cell.observe(50_000, 20);
        assert_eq!(cell.latency_us(20), 50_000.0);
        cell.observe(1000, 1020);
        let after_a_second = cell.latency_us(1020);
        assert!(
            (44_000.0..46_000.0).contains(&after_a_second),
            "{after_a_second}"
        );
        assert!(cell.latency_us(60_000) < 200.0);
        assert!(cell.latency_us(1 << 31) < 1e-3);
        assert_eq!(
            cell.latency_us((1 << 32) + 1020),
            after_a_second,
            "it wraps"
        );
        assert_eq!(cell.latency_us(1000), after_a_second, "of a moment ago");
    }

    #[test]
    fn appears_once() {
        let cell = EndpointCell::default();
        cell.appear(100);
        cell.appear(200);
        assert_eq!(cell.age_ms(250), 150);
    }
}
