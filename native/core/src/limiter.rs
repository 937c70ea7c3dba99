//! How much may they call: limits that all workers of a host share, exact, without a lock.
//!
//! A limit's state is one cache line in the segment, a `Cell`, found by a keyed hash. Each algorithm
//! changes one atomic word with compare-and-swap, so a process may be killed at any instruction.
//!
//! | algorithm | state | exact |
//! |---|---|---|
//! | bucket | one word: the theoretical arrival time (GCRA, ITU-T I.371) | yes |
//! | log | one word for each request that still counts, for limits up to `MAX_LOG` | yes |
//! | counter | one word: this window's count and the last one's, weighted by its overlap | estimate |
//! | fixed | the same word without the last window | by its definition |
//! | lease | one word: tokens that another store has granted to this host | never more |
#![forbid(unsafe_code)]

mod bucket;
mod cells;
mod counter;
mod in_flight;
mod lease;
mod log;
mod rules;

pub use bucket::Bucket;
pub use cells::{Cell, CellTable, Tally, DEFAULT_CELLS};
pub use counter::{Counter, MAX_COUNT};
pub use in_flight::InFlight;
pub use lease::{Grant, Lease};
pub use log::{Log, MAX_LOG};
pub use rules::{Limits, Rule};

/// 16 ns. A time in ticks and a tag of 8 bits fill a word for 36 years after the machine's start.
pub const TICK_NS: u64 = 16;
/// Bits below a time: the tag of the cell's owner.
const TAG_BITS: u32 = 8;

/// One question: may `key` have `weight` more under a rule?
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ask {
    /// Index in `Limits`.
    pub rule: u32,
    pub weight: u32,
    /// 0: only counted, its refusal is ignored.
    pub enforced: u32,
    pub reserved: u32,
    /// Keyed hash of what is limited, the rule's own included.
    pub key: u64,
}

/// The answer to one `Ask`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Quota {
    /// 1: within the limit.
    pub allowed: u32,
    /// Of a lease, 1: the caller is the one to fetch more tokens.
    pub wants_more: u32,
    /// What may still be had at once.
    pub remaining: u64,
    /// Until all of it is there again.
    pub reset_ns: u64,
    /// Until the same question may be allowed; 0 if it was.
    pub retry_ns: u64,
}

impl Quota {
    fn allowed(remaining: u64, reset: u64) -> Self {
        Self {
            allowed: 1,
            wants_more: 0,
            remaining,
            reset_ns: reset.saturating_mul(TICK_NS),
            retry_ns: 0,
        }
    }

    fn refused(remaining: u64, reset: u64, retry: u64) -> Self {
        Self {
            allowed: 0,
            wants_more: 0,
            remaining,
            reset_ns: reset.saturating_mul(TICK_NS),
            retry_ns: retry.max(1).saturating_mul(TICK_NS),
        }
    }
}

/// Which cells a word belongs to is part of the word: a cell that changes hands needs no clearing,
/// because what its last owner left does not bear the new one's tag.
#[inline]
fn tag_of(key: u64) -> u64 {
    key >> (64 - TAG_BITS)
}

#[inline]
fn tagged(value: u64, tag: u64) -> u64 {
    value << TAG_BITS | tag
}

/// The value of a word, if it bears the tag.
#[inline]
fn untagged(word: u64, tag: u64) -> Option<u64> {
    (word & ((1 << TAG_BITS) - 1) == tag && word != 0).then_some(word >> TAG_BITS)
}

#[cfg(test)]
mod tests;
