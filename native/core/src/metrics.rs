//! What the gateway counts: one table for a worker's counters, one for those of a service, and the
//! buckets of the duration histogram.
//!
//! A row's position is its index in the shared segment and in the C face (`cext/native.pxd`, which
//! a test compares). Exposed names are these with `gateway_` in front.
#![forbid(unsafe_code)]

/// What happens to a value, as Prometheus means it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; survives the death of its worker.
    Counter,
    /// Goes to zero with its worker.
    Gauge,
}

/// How the values of several workers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    Sum,
    Highest,
}

#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub total: Total,
    pub help: &'static str,
}

const fn metric(kind: Kind, name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        total: Total::Sum,
        help,
    }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    metric(Kind::Counter, name, help)
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    metric(Kind::Gauge, name, help)
}

const fn highest(gauge: Metric) -> Metric {
    Metric {
        total: Total::Highest,
        ..gauge
    }
}

/// One value for each process.
pub const WORKER: [Metric; 23] = [
    counter(
        "connections_accepted_total",
        "Downstream connections accepted.",
    ),
    gauge("connections_active", "Downstream connections open now."),
    counter(
        "connections_refused_total",
        "Downstream connections closed at once, because the limit of connections was reached.",
    ),
    gauge("requests_in_flight", "Requests begun and not yet finished."),
    counter(
        "bad_requests_total",
        "Requests refused because they are not well-formed HTTP.",
    ),
    counter(
        "bytes_received_total",
        "Bytes read from downstream connections.",
    ),
    counter(
        "bytes_sent_total",
        "Bytes written to downstream connections.",
    ),
    counter(
        "access_log_dropped_total",
        "Lines of the access log dropped, because its sink was too slow.",
    ),
    highest(gauge(
        "plan_generation",
        "Highest generation of the configuration in use by a worker.",
    )),
    counter(
        "worker_restarts_total",
        "Workers started again after they had died.",
    ),
    counter(
        "reloads_total",
        "Configurations that were loaded and put in use.",
    ),
    counter(
        "reload_failures_total",
        "Configurations that were refused; the one before stayed in use.",
    ),
    counter(
        "metrics_overflow_total",
        "Observations counted under the label \"other\", because a table of labels was full.",
    ),
    counter(
        "rate_limit_store_calls_total",
        "Calls of Redis for rate limits; one decides for all requests that wait.",
    ),
    counter(
        "rate_limit_store_failures_total",
        "Calls of Redis for rate limits that failed or took too long.",
    ),
    counter(
        "rate_limit_store_microseconds_total",
        "Time that the calls of Redis for rate limits took, microseconds.",
    ),
    counter(
        "rate_limit_fallback_decisions_total",
        "Decisions made without Redis, because it was away.",
    ),
    highest(gauge(
        "rate_limit_fallback",
        "1 while a worker decides without Redis, because it is away.",
    )),
    counter(
        "rate_limit_lease_tokens_granted_total",
        "Tokens that this host has taken from Redis ahead of need.",
    ),
    counter(
        "rate_limit_lease_tokens_used_total",
        "Tokens taken ahead of need that requests have used.",
    ),
    counter(
        "rate_limit_lease_tokens_returned_total",
        "Tokens taken ahead of need that were not used and were given back.",
    ),
    counter(
        "requests_shed_total",
        "Requests refused, because the worker was overloaded.",
    ),
    highest(gauge(
        "loop_lag_microseconds",
        "How late the event loop was at its last tick, microseconds.",
    )),
];

/// Where the segment counts its own overflow.
pub const METRICS_OVERFLOW: usize = 12;

/// One value for each service in each process.
pub const SERVICE: [Metric; 23] = [
    counter(
        "upstream_connects_total",
        "Connections opened to endpoints.",
    ),
    counter(
        "upstream_connect_failures_total",
        "Connections to endpoints that could not be opened.",
    ),
    counter(
        "upstream_reused_total",
        "Requests sent on a connection that was kept alive.",
    ),
    counter("upstream_retries_total", "Requests sent a second time."),
    counter(
        "upstream_resets_total",
        "Upstream connections that broke before the response was complete.",
    ),
    gauge(
        "upstream_connections_active",
        "Upstream connections with a request on them.",
    ),
    gauge(
        "upstream_connections_idle",
        "Upstream connections kept alive in the pool.",
    ),
    gauge(
        "upstream_queue",
        "Requests waiting for an upstream connection.",
    ),
    counter(
        "upstream_queue_full_total",
        "Requests refused, because too many were waiting for an upstream connection.",
    ),
    counter(
        "upstream_retries_denied_total",
        "Requests not sent again, because the retry budget was used up.",
    ),
    counter(
        "upstream_ejections_total",
        "Endpoints taken out for a while, because requests to them failed.",
    ),
    counter(
        "circuit_breaker_opened_total",
        "Times the circuit breaker has opened.",
    ),
    counter(
        "circuit_breaker_refused_total",
        "Requests not sent, because the circuit breaker was open.",
    ),
    counter(
        "bulkhead_refused_total",
        "Requests refused, because too many were running and waiting.",
    ),
    counter(
        "fallbacks_total",
        "Requests answered by the service's fallback.",
    ),
    counter(
        "upstream_hedges_total",
        "Requests sent to a second endpoint, because the first took long.",
    ),
    counter(
        "upstream_hedges_won_total",
        "Of those, the ones that the second endpoint answered first.",
    ),
    counter(
        "upstream_hedges_failed_total",
        "Of those, the ones that the second endpoint failed.",
    ),
    counter(
        "mirrored_total",
        "Copies of requests sent to the service as a mirror.",
    ),
    counter(
        "mirror_dropped_total",
        "Copies of requests not sent to the mirror: a bound was reached, or the body did not end.",
    ),
    counter(
        "mirror_failed_total",
        "Copies of requests that the mirror did not answer, or with 500 or above.",
    ),
    counter(
        "circuit_breaker_half_opened_total",
        "Times the circuit breaker has let probes pass after it was open.",
    ),
    counter(
        "circuit_breaker_closed_total",
        "Times the circuit breaker has closed again.",
    ),
];

/// One value for each policy on each route in each process.
pub const LIMIT: [Metric; 3] = [
    counter(
        "rate_limit_allowed_total",
        "Requests that a rate limit let pass.",
    ),
    counter(
        "rate_limit_exceeded_total",
        "Requests that a rate limit refused.",
    ),
    counter(
        "rate_limit_dry_run_total",
        "Requests that a rate limit in dry-run mode would have refused.",
    ),
];

/// Index of a method in the C face; others count as the last.
pub const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "other",
];

/// Upper bounds (inclusive) of the request duration's buckets, ns; one more bucket has no bound.
/// Prometheus' usual bounds, with 0.5, 1 and 2.5 ms below them, where a healthy gateway answers.
pub const BUCKET_BOUNDS_NS: [u64; 14] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The bounded buckets and the unbounded one.
pub const BUCKETS: usize = BUCKET_BOUNDS_NS.len() + 1;

/// For each power of two, how many bounds lie below it. Neighbouring bounds differ by a factor of
/// at least two, so between one power and the next lies at most one bound: a single comparison
/// completes the search.
const BOUNDS_BELOW: [u8; 64] = {
    let mut below = [0; 64];
    let mut power = 0;
    while power < 64 {
        let mut bound = 0;
        while bound < BUCKET_BOUNDS_NS.len() && BUCKET_BOUNDS_NS[bound] < 1 << power {
            bound += 1;
        }
        below[power] = bound as u8;
        power += 1;
    }
    below
};

/// Index of the bucket that a duration counts in.
#[inline]
pub fn bucket(duration_ns: u64) -> usize {
    let first = BOUNDS_BELOW[(duration_ns | 1).ilog2() as usize] as usize;
    let exceeds = BUCKET_BOUNDS_NS
        .get(first)
        .is_some_and(|&bound| duration_ns > bound);
    first + usize::from(exceeds)
}

/// Index of the row called `name`.
pub fn index(table: &[Metric], name: &str) -> Option<usize> {
    table.iter().position(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket_by_scan(duration_ns: u64) -> usize {
        BUCKET_BOUNDS_NS
            .iter()
            .filter(|&&bound| duration_ns > bound)
            .count()
    }

    #[test]
    fn bucket_at_each_edge() {
        let powers = (0..64).map(|power| 1_u64 << power);
        for edge in BUCKET_BOUNDS_NS.into_iter().chain(powers).chain([u64::MAX]) {
            for duration in [edge - 1, edge, edge.saturating_add(1)] {
                assert_eq!(bucket(duration), bucket_by_scan(duration), "{duration} ns");
            }
        }
    }

    #[test]
    fn names_follow_prometheus() {
        assert_eq!(WORKER[METRICS_OVERFLOW].name, "metrics_overflow_total");
        for (row, metric) in WORKER.iter().chain(&SERVICE).chain(&LIMIT).enumerate() {
            let counts = metric.kind == Kind::Counter;
            assert_eq!(metric.name.ends_with("_total"), counts, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let mut all = WORKER.iter().chain(&SERVICE).chain(&LIMIT);
            assert_eq!(all.position(|other| other.name == metric.name), Some(row));
        }
    }

    proptest! {
        #[test]
        fn bucket_anywhere(duration in 0..20_000_000_000_u64) {
            prop_assert_eq!(bucket(duration), bucket_by_scan(duration));
        }
    }
}
