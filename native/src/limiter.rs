//! `Limits`: the rules of a Plan, over the cells of a segment.

use gateway_core::limiter::{self as core, Ask, Grant, Lease, Quota, Rule, TICK_NS};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::segment::Segment;

/// Highest size of a lease: its count has 24 bits, and half of them are room for a refund.
const MAX_LEASE: u64 = 1 << 23;

#[pyclass(frozen, module = "gateway._core")]
pub struct Limits {
    core: core::Limits,
}

/// Rule, key, weight, and whether a refusal counts.
type PyAsk = (u32, u64, u32, bool);
/// Allowed, wants more, remaining, ns until reset, ns until a retry.
type PyQuota = (bool, bool, u64, u64, u64);

fn rule((kind, limit, window_ns, burst): (String, u64, u64, u64)) -> PyResult<Rule> {
    let wrong = |what: &str| Err(PyValueError::new_err(format!("limits: {what}")));
    if limit == 0 || (kind != "lease" && window_ns < TICK_NS) {
        return wrong("limit and window must not be 0");
    }
    match kind.as_str() {
        "bucket" if burst == 0 => wrong("a bucket needs a burst"),
        "bucket" => Ok(Rule::bucket(limit, window_ns, burst)),
        "sliding" | "fixed" if limit > core::MAX_COUNT => wrong("a window counts to 2^18 - 1"),
        "sliding" => Ok(Rule::sliding(limit, window_ns)),
        "fixed" => Ok(Rule::fixed(limit, window_ns)),
        "lease" if limit > MAX_LEASE => wrong("a lease has at most 2^23 tokens"),
        "lease" => Ok(Rule::Lease(Lease { size: limit })),
        _ => wrong("a rule is bucket, sliding, fixed or lease"),
    }
}

fn asks(from: &[PyAsk]) -> Vec<Ask> {
    let ask = |&(rule, key, weight, enforced): &PyAsk| Ask {
        rule,
        weight,
        enforced: u32::from(enforced),
        reserved: 0,
        key,
    };
    from.iter().map(ask).collect()
}

#[pymethods]
impl Limits {
    #[new]
    fn new(rules: Vec<(String, u64, u64, u64)>) -> PyResult<Self> {
        let rules: PyResult<Vec<Rule>> = rules.into_iter().map(rule).collect();
        Ok(Self {
            core: core::Limits(rules?),
        })
    }

    /// A Python object does not move, and a frozen one is not replaced.
    #[getter]
    fn address(&self) -> usize {
        (&raw const self.core).addr()
    }

    fn acquire(
        &self,
        segment: &Bound<'_, Segment>,
        questions: Vec<PyAsk>,
        now_ns: u64,
    ) -> (bool, Vec<PyQuota>) {
        let asks = asks(&questions);
        let mut quotas = vec![Quota::default(); asks.len()];
        let table = segment.get().core.limits();
        let allowed = self.core.acquire(&table, &asks, now_ns, &mut quotas);
        let answer = |quota: Quota| {
            (
                quota.allowed == 1,
                quota.wants_more == 1,
                quota.remaining,
                quota.reset_ns,
                quota.retry_ns,
            )
        };
        (allowed, quotas.into_iter().map(answer).collect())
    }

    fn refund(&self, segment: &Bound<'_, Segment>, questions: Vec<PyAsk>, now_ns: u64) {
        let taken = Quota {
            allowed: 1,
            ..Quota::default()
        };
        let quotas = vec![taken; questions.len()];
        let table = segment.get().core.limits();
        self.core.refund(&table, &asks(&questions), &quotas, now_ns);
    }

    fn charge(&self, segment: &Bound<'_, Segment>, question: PyAsk, now_ns: u64) {
        let table = segment.get().core.limits();
        for ask in asks(&[question]) {
            self.core.charge(&table, &ask, now_ns);
        }
    }

    fn take_back(
        &self,
        segment: &Bound<'_, Segment>,
        rule: usize,
        key: u64,
        until_ns: u64,
        now_ns: u64,
    ) -> u64 {
        let table = segment.get().core.limits();
        self.core.take_back(&table, rule, key, until_ns, now_ns)
    }

    /// Times are ns from `now_ns`.
    #[allow(clippy::too_many_arguments)]
    fn grant(
        &self,
        segment: &Bound<'_, Segment>,
        rule: usize,
        key: u64,
        tokens: u64,
        lifetime_ns: u64,
        remaining: u64,
        full_ns: u64,
        retry_ns: u64,
        now_ns: u64,
    ) {
        let at = |ns: u64| now_ns.saturating_add(ns) / TICK_NS;
        let grant = Grant {
            tokens,
            until: at(lifetime_ns),
            remaining,
            full_at: at(full_ns),
            retry_at: if retry_ns == 0 { 0 } else { at(retry_ns) },
        };
        let table = segment.get().core.limits();
        self.core.grant(&table, rule, key, grant, now_ns);
    }
}

/// The bounds that the configuration checks.
pub fn add_bounds(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("LIMIT_CELLS", core::DEFAULT_CELLS)?;
    module.add("MAX_EXACT_WINDOW", core::MAX_LOG)?;
    module.add("MAX_WINDOW_COUNT", core::MAX_COUNT)?;
    module.add("MAX_LEASE", MAX_LEASE)
}
