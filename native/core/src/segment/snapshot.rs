//! All slots as one: what a scrape shows.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::region::SeriesKey;
use super::Segment;
use crate::metrics::{Metric, Total, BUCKETS, LIMIT, SERVICE, WORKER};

/// What was counted under a label that was never given out is merged into "other": a scrape with two
/// series of the same name would be refused whole.
///
/// Taken while others write: each value is right at some moment of the reading, not all at the same.
/// Ordered by label id, so that two scrapes list the same things in the same order.
#[derive(Debug)]
pub struct Snapshot {
    /// Rows of `metrics::WORKER`. A gauge may be negative if its writer is: it is shown as it is.
    pub counters: [i64; WORKER.len()],
    /// Service label and rows of `metrics::SERVICE`.
    pub services: BTreeMap<u32, [i64; SERVICE.len()]>,
    /// Policy and route labels, and rows of `metrics::LIMIT`.
    pub limits: BTreeMap<(u32, u32), [i64; LIMIT.len()]>,
    /// Limits forgotten because their cell was needed.
    pub limit_evictions: u64,
    pub series: BTreeMap<SeriesKey, Series>,
    /// One for each slot, ms; 0 = never.
    pub heartbeats: Vec<u64>,
    pub labels_dropped: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Requests in each bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
    pub sum_ns: u64,
}

impl Series {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Snapshot {
    pub(super) fn of(segment: &Segment) -> Self {
        let mut snapshot = Self {
            counters: [0; WORKER.len()],
            services: BTreeMap::new(),
            limits: BTreeMap::new(),
            limit_evictions: segment.limits().evictions(),
            series: BTreeMap::new(),
            heartbeats: Vec::with_capacity(segment.regions().len()),
            labels_dropped: segment.labels_dropped(),
        };
        for region in segment.regions() {
            snapshot.heartbeats.push(region.last_beat());
            merge(&WORKER, &mut snapshot.counters, &region.counters());
            for (label, values) in region.services() {
                let label = segment.labels.known(label);
                let totals = snapshot.services.entry(label).or_insert([0; SERVICE.len()]);
                merge(&SERVICE, totals, &values);
            }
            for (policy, route, values) in region.limits() {
                let labels = (segment.labels.known(policy), segment.labels.known(route));
                let totals = snapshot.limits.entry(labels).or_insert([0; LIMIT.len()]);
                merge(&LIMIT, totals, &values);
            }
            for (key, buckets, sum_ns) in region.series() {
                let key = SeriesKey {
                    route: segment.labels.known(key.route),
                    service: segment.labels.known(key.service),
                    ..key
                };
                let total = snapshot.series.entry(key).or_default();
                for (sum, count) in total.buckets.iter_mut().zip(buckets) {
                    *sum = sum.wrapping_add(count);
                }
                total.sum_ns = total.sum_ns.wrapping_add(sum_ns);
            }
        }
        snapshot
    }
}

fn merge(table: &[Metric], totals: &mut [i64], values: &[u64]) {
    for ((metric, total), value) in table.iter().zip(totals).zip(values) {
        let value = *value as i64;
        *total = match metric.total {
            Total::Sum => total.wrapping_add(value),
            Total::Highest => value.max(*total),
        };
    }
}
