//! What one process counts: its own part of the segment.
//!
//! A value has one writer, so it is raised by a load and a store (about 1 ns) and not by a locked
//! instruction (about 5 ns): nobody can come in between, and a reader sees the value of before or of
//! after. Relaxed suffices: no value is used to find out about another one.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::key_table::KeyTable;
use super::labels::{MAX_LABELS, OTHER};
use super::places::MAX_PLACES;
use crate::metrics::{self, Kind, BUCKETS, LIMIT, METHODS, METRICS_OVERFLOW, SERVICE, WORKER};

/// Series of one process: 10,000 routes with one method and one status. A table that is full to
/// three quarters is probed about 2.5 times for a key that it has, 8.5 times for one that it lacks.
pub const SERIES_LIMIT: usize = SERIES_SIZE / 4 * 3;
const SERIES_SIZE: usize = 16_384;

/// Services that one process counts apart.
pub const SERVICES_LIMIT: usize = SERVICES_SIZE / 2;
const SERVICES_SIZE: usize = 1024;

/// Two cache lines; what a request of up to 10 ms changes is in the first one.
#[repr(C, align(64))]
struct SeriesCell {
    sum_ns: AtomicU64,
    /// Not cumulative. Their sum is the number of requests, which has no word of its own: so the
    /// count and the buckets agree, wherever a writer is killed.
    buckets: [AtomicU64; BUCKETS],
}

#[repr(C, align(64))]
struct ServiceCell {
    values: [AtomicU64; SERVICE.len()],
}

/// Limits on routes that one process counts apart.
pub const LIMITS_LIMIT: usize = LIMITS_SIZE / 2;
const LIMITS_SIZE: usize = 2048;

#[repr(C, align(32))]
struct LimitCell {
    values: [AtomicU64; LIMIT.len()],
}

#[repr(C, align(64))]
pub struct Region {
    /// Milliseconds of the clock that the processes agree on; 0 before the first one.
    beat_ms: AtomicU64,
    /// Goes up when the process in this slot has died.
    life: AtomicU64,
    counters: [AtomicU64; WORKER.len()],
    service_keys: KeyTable<SERVICES_SIZE>,
    services: [ServiceCell; SERVICES_SIZE],
    limit_keys: KeyTable<LIMITS_SIZE>,
    limits: [LimitCell; LIMITS_SIZE],
    series_keys: KeyTable<SERIES_SIZE>,
    series: [SeriesCell; SERIES_SIZE],
    /// Requests in flight by the place of their endpoint …
    in_flight: [AtomicU32; MAX_PLACES],
    /// … and by the label of their service.
    in_service: [AtomicU32; MAX_LABELS],
    /// How many of this process' sets of endpoints name the endpoint at a place.
    holds: [AtomicU32; MAX_PLACES],
}

/// What a series counts: requests with the same route, service, method and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    pub route: u32,
    pub service: u32,
    /// Index in `METHODS`.
    pub method: u32,
    pub status: u32,
}

const OTHER_METHOD: u32 = METHODS.len() as u32 - 1;

impl SeriesKey {
    /// Labels and method "other", status 0: what is counted when the table is full.
    const OVERFLOW: Self = Self {
        route: OTHER,
        service: OTHER,
        method: OTHER_METHOD,
        status: 0,
    };

    /// Bits: 63 set, so that no key is 0; 40.. route; 20.. service; 16.. method; 0.. status. Each
    /// field is cut to its width, far above what label ids and statuses reach.
    #[inline]
    fn pack(self) -> u64 {
        let method = self.method.min(OTHER_METHOD);
        1 << 63
            | u64::from(self.route & 0xF_FFFF) << 40
            | u64::from(self.service & 0xF_FFFF) << 20
            | u64::from(method) << 16
            | u64::from(self.status & 0xFFFF)
    }

    fn unpack(key: u64) -> Self {
        let field = |shift: u32, mask: u64| (key >> shift & mask) as u32;
        Self {
            route: field(40, 0xF_FFFF),
            service: field(20, 0xF_FFFF),
            method: field(16, 0xF),
            status: field(0, 0xFFFF),
        }
    }
}

/// Bit 63 set, so that no key is 0; ids of labels are far below it.
#[inline]
fn limit_key(policy: u32, route: u32) -> u64 {
    1 << 63 | u64::from(policy) << 32 | u64::from(route)
}

/// For the one writer of `value`.
#[inline]
fn raise(value: &AtomicU64, delta: u64) {
    value.store(
        value.load(Ordering::Relaxed).wrapping_add(delta),
        Ordering::Relaxed,
    );
}

#[inline]
fn count_up(count: Option<&AtomicU32>, order: Ordering) {
    if let Some(count) = count {
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), order);
    }
}

#[inline]
fn count_down(count: Option<&AtomicU32>, order: Ordering) {
    if let Some(count) = count {
        count.store(count.load(Ordering::Relaxed).saturating_sub(1), order);
    }
}

impl Region {
    /// Counts a request that is finished.
    #[inline]
    pub fn observe(&self, key: SeriesKey, duration_ns: u64) {
        let position = self
            .series_keys
            .position(key.pack(), SERIES_LIMIT)
            .or_else(|| self.overflow(&self.series_keys, SeriesKey::OVERFLOW.pack()));
        let Some(cell) = position.and_then(|at| self.series.get(at)) else {
            return;
        };
        raise(&cell.buckets[metrics::bucket(duration_ns)], 1);
        raise(&cell.sum_ns, duration_ns);
    }

    /// Adds to a counter or gauge: a row of `metrics::WORKER`; there is no other.
    #[inline]
    pub fn add(&self, counter: usize, delta: i64) {
        if let Some(value) = self.counters.get(counter) {
            raise(value, delta as u64);
        }
    }

    /// The same when others may write too: supervisor and control process share a slot.
    pub fn add_shared(&self, counter: usize, delta: i64) {
        if let Some(value) = self.counters.get(counter) {
            value.fetch_add(delta as u64, Ordering::Relaxed);
        }
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, counter: usize, value: u64) {
        if let Some(gauge) = self.counters.get(counter) {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    /// Adds to a service's counter or gauge: a row of `metrics::SERVICE`.
    #[inline]
    pub fn service_add(&self, label: u32, counter: usize, delta: i64) {
        // Plus one: no key is 0.
        let position = self
            .service_keys
            .position(u64::from(label) + 1, SERVICES_LIMIT)
            .or_else(|| self.overflow(&self.service_keys, u64::from(OTHER) + 1));
        let cell = position.and_then(|at| self.services.get(at));
        if let Some(value) = cell.and_then(|cell| cell.values.get(counter)) {
            raise(value, delta as u64);
        }
    }

    /// One request more in flight at the endpoint at this place of the service with this label.
    #[inline]
    pub fn enter(&self, place: u32, service: u32) {
        count_up(self.in_flight.get(place as usize), Ordering::Relaxed);
        count_up(self.in_service.get(service as usize), Ordering::Relaxed);
    }

    /// One less.
    #[inline]
    pub fn leave(&self, place: u32, service: u32) {
        count_down(self.in_flight.get(place as usize), Ordering::Relaxed);
        count_down(self.in_service.get(service as usize), Ordering::Relaxed);
    }

    /// Requests in flight at the endpoint at this place.
    #[inline]
    pub fn in_flight(&self, place: u32) -> u32 {
        let count = self.in_flight.get(place as usize);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Requests in flight at the service with this label.
    #[inline]
    pub fn in_service(&self, service: u32) -> u32 {
        let count = self.in_service.get(service as usize);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// One set of endpoints more that reads and writes what lies at this place.
    pub fn hold(&self, place: u32) {
        count_up(self.holds.get(place as usize), Ordering::Relaxed);
    }

    /// One less. Release: what was written there is written before the place is free.
    pub fn release(&self, place: u32) {
        count_down(self.holds.get(place as usize), Ordering::Release);
    }

    pub fn is_held(&self, place: u32) -> bool {
        let count = self.holds.get(place as usize);
        count.is_some_and(|count| count.load(Ordering::Acquire) != 0)
    }

    /// Adds to a counter of a policy on a route: a row of `metrics::LIMIT`.
    #[inline]
    pub fn limit_add(&self, policy: u32, route: u32, counter: usize, delta: i64) {
        let position = self
            .limit_keys
            .position(limit_key(policy, route), LIMITS_LIMIT)
            .or_else(|| self.overflow(&self.limit_keys, limit_key(OTHER, OTHER)));
        let cell = position.and_then(|at| self.limits.get(at));
        if let Some(value) = cell.and_then(|cell| cell.values.get(counter)) {
            raise(value, delta as u64);
        }
    }

    pub fn beat(&self, now_ms: u64) {
        self.beat_ms.store(now_ms, Ordering::Relaxed);
    }

    pub fn last_beat(&self) -> u64 {
        self.beat_ms.load(Ordering::Relaxed)
    }

    /// Which process it is that writes here, of all that ever did.
    pub fn life(&self) -> u64 {
        self.life.load(Ordering::Relaxed)
    }

    /// After the writer has died: what it had open is closed. Counters stay; they never go back.
    pub fn reset_gauges(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
        let reset = |metric: &metrics::Metric, value: &AtomicU64| {
            if metric.kind == Kind::Gauge {
                value.store(0, Ordering::Relaxed);
            }
        };
        for (metric, value) in WORKER.iter().zip(&self.counters) {
            reset(metric, value);
        }
        for (at, _) in self.service_keys.entries() {
            for (metric, value) in SERVICE.iter().zip(&self.services[at].values) {
                reset(metric, value);
            }
        }
        let counts = self.in_flight.iter().chain(&self.in_service);
        for count in counts.chain(&self.holds) {
            if count.load(Ordering::Relaxed) != 0 {
                count.store(0, Ordering::Relaxed);
            }
        }
    }

    pub fn counters(&self) -> [u64; WORKER.len()] {
        std::array::from_fn(|row| self.counters[row].load(Ordering::Relaxed))
    }

    /// Label and values of each service that was counted.
    pub fn services(&self) -> impl Iterator<Item = (u32, [u64; SERVICE.len()])> + '_ {
        self.service_keys.entries().map(|(at, key)| {
            let values = &self.services[at].values;
            let read = std::array::from_fn(|row| values[row].load(Ordering::Relaxed));
            ((key - 1) as u32, read)
        })
    }

    /// Policy, route and values of each limit that was counted.
    pub fn limits(&self) -> impl Iterator<Item = (u32, u32, [u64; LIMIT.len()])> + '_ {
        self.limit_keys.entries().map(|(at, key)| {
            let values = &self.limits[at].values;
            let read = std::array::from_fn(|row| values[row].load(Ordering::Relaxed));
            ((key >> 32) as u32 & !(1 << 31), key as u32, read)
        })
    }

    /// Key, requests in each bucket and sum of durations (ns) of each series.
    pub fn series(&self) -> impl Iterator<Item = (SeriesKey, [u64; BUCKETS], u64)> + '_ {
        self.series_keys.entries().map(|(at, key)| {
            let cell = &self.series[at];
            let buckets = std::array::from_fn(|row| cell.buckets[row].load(Ordering::Relaxed));
            let sum_ns = cell.sum_ns.load(Ordering::Relaxed);
            (SeriesKey::unpack(key), buckets, sum_ns)
        })
    }

    /// The overflow's place may be claimed beyond the limit, so it always has one.
    #[cold]
    fn overflow<const SIZE: usize>(&self, keys: &KeyTable<SIZE>, key: u64) -> Option<usize> {
        raise(&self.counters[METRICS_OVERFLOW], 1);
        keys.position(key, SIZE)
    }
}
