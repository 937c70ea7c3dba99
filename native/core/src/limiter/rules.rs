//! The configured limits, and the decision over several of them at once.
use super::cells::CellTable;
use super::{Ask, Bucket, Counter, Grant, Lease, Log, Quota, TICK_NS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Bucket(Bucket),
    Log(Log),
    Counter(Counter),
    Lease(Lease),
}

impl Rule {
    /// `burst` tokens, `rate` more in each `period_ns`. None of them is 0.
    pub fn bucket(rate: u64, period_ns: u64, burst: u64) -> Self {
        // Rounded up: never more than the rate.
        let interval = (period_ns / TICK_NS).div_ceil(rate).max(1);
        Self::Bucket(Bucket { interval, burst })
    }

    /// At most `limit` in any window: exact up to `MAX_LOG`, else an estimate.
    pub fn sliding(limit: u64, window_ns: u64) -> Self {
        let window = window_ns / TICK_NS;
        if limit <= super::MAX_LOG {
            Self::Log(Log { window, limit })
        } else {
            Self::Counter(Counter::new(window, limit, true))
        }
    }

    /// At most `limit` in a window that begins with its first request.
    pub fn fixed(limit: u64, window_ns: u64) -> Self {
        Self::Counter(Counter::new(window_ns / TICK_NS, limit, false))
    }

    fn peek(self, table: &CellTable<'_>, ask: &Ask, now: u64) -> Quota {
        let (key, weight) = (ask.key, u64::from(ask.weight));
        match self {
            Self::Bucket(bucket) => bucket.peek(table.own(key, now), key, weight, now),
            Self::Log(log) => log.peek(table, key, weight, now),
            Self::Counter(counter) => counter.peek(table.own(key, now), key, weight, now),
            Self::Lease(lease) => lease.peek(table.own(key, now), key, weight, now),
        }
    }

    #[inline]
    fn acquire(self, table: &CellTable<'_>, ask: &Ask, now: u64) -> Quota {
        let (key, weight) = (ask.key, u64::from(ask.weight));
        match self {
            Self::Bucket(bucket) => bucket.acquire(table.own(key, now), key, weight, now),
            Self::Log(log) => log.acquire(table, key, weight, now),
            Self::Counter(counter) => counter.acquire(table.own(key, now), key, weight, now),
            Self::Lease(lease) => lease.acquire(table.own(key, now), key, weight, now),
        }
    }

    fn charge(self, table: &CellTable<'_>, ask: &Ask, now: u64) {
        let (key, weight) = (ask.key, u64::from(ask.weight));
        match self {
            Self::Bucket(bucket) => bucket.charge(table.own(key, now), key, weight, now),
            Self::Log(log) => log.charge(table, key, weight, now),
            Self::Counter(counter) => counter.charge(table.own(key, now), key, weight, now),
            Self::Lease(_) => {} // the store's bucket is charged
        }
    }

    fn refund(self, table: &CellTable<'_>, ask: &Ask, now: u64) {
        let (key, weight) = (ask.key, u64::from(ask.weight));
        if let Self::Log(log) = self {
            return log.refund(table, key, weight, now);
        }
        let Some(cell) = table.find(key) else {
            return;
        };
        match self {
            Self::Bucket(bucket) => bucket.refund(cell, key, weight),
            Self::Counter(counter) => counter.refund(cell, key, weight),
            Self::Lease(lease) => lease.refund(cell, key, weight),
            Self::Log(_) => {}
        }
    }
}

/// The rules of one Plan, by index.
pub struct Limits(pub Vec<Rule>);

impl Limits {
    /// All or nothing: what one enforced rule refuses takes nothing of the others. `out` has an
    /// answer for each question. Returns whether it is allowed.
    pub fn acquire(
        &self,
        table: &CellTable<'_>,
        asks: &[Ask],
        now_ns: u64,
        out: &mut [Quota],
    ) -> bool {
        let now = now_ns / TICK_NS;
        asks.iter().for_each(|ask| table.touch(ask.key));
        // Looking first spares the refunds, and shows every answer of a refusal.
        if asks.len() > 1 && !self.peek(table, asks, now, out) {
            return false;
        }
        for (at, (ask, quota)) in asks.iter().zip(out.iter_mut()).enumerate() {
            *quota = match self.0.get(ask.rule as usize) {
                Some(rule) => rule.acquire(table, ask, now),
                None => Quota::allowed(0, 0),
            };
            if quota.allowed == 0 && ask.enforced != 0 {
                self.refund_allowed(table, &asks[..at], &out[..at], now);
                return false;
            }
        }
        true
    }

    fn peek(&self, table: &CellTable<'_>, asks: &[Ask], now: u64, out: &mut [Quota]) -> bool {
        let mut allowed = true;
        for (ask, quota) in asks.iter().zip(out.iter_mut()) {
            *quota = match self.0.get(ask.rule as usize) {
                Some(rule) => rule.peek(table, ask, now),
                None => Quota::allowed(0, 0),
            };
            allowed &= quota.allowed != 0 || ask.enforced == 0;
        }
        allowed
    }

    /// Takes what a request has cost beyond what was asked for, whether it fits or not. What is owed
    /// is at most as much again as the rule allows: who owes it must be able to come back.
    pub fn charge(&self, table: &CellTable<'_>, ask: &Ask, now_ns: u64) {
        if let Some(rule) = self.0.get(ask.rule as usize) {
            rule.charge(table, ask, now_ns / TICK_NS);
        }
    }

    /// Gives back what an `acquire` at the same `now_ns` with these answers has taken.
    pub fn refund(&self, table: &CellTable<'_>, asks: &[Ask], quotas: &[Quota], now_ns: u64) {
        self.refund_allowed(table, asks, quotas, now_ns / TICK_NS);
    }

    fn refund_allowed(&self, table: &CellTable<'_>, asks: &[Ask], quotas: &[Quota], now: u64) {
        for (ask, quota) in asks.iter().zip(quotas) {
            if quota.allowed != 0 {
                if let Some(rule) = self.0.get(ask.rule as usize) {
                    rule.refund(table, ask, now);
                }
            }
        }
    }

    /// Tokens of a lease that nobody has used, for the store; none if more were granted since.
    pub fn take_back(
        &self,
        table: &CellTable<'_>,
        rule: usize,
        key: u64,
        until_ns: u64,
        now_ns: u64,
    ) -> u64 {
        let (until, now) = (until_ns / TICK_NS, now_ns / TICK_NS);
        match (self.0.get(rule), table.find(key)) {
            (Some(Rule::Lease(lease)), Some(cell)) => lease.take_back(cell, key, until, now),
            _ => 0,
        }
    }

    /// Adds tokens that the store has granted to a lease; times in ns from now.
    pub fn grant(&self, table: &CellTable<'_>, rule: usize, key: u64, grant: Grant, now_ns: u64) {
        let now = now_ns / TICK_NS;
        if let Some(Rule::Lease(lease)) = self.0.get(rule) {
            lease.grant(table.own(key, now), key, grant, now);
        }
    }
}
