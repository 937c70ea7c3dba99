//! Tokens that a store of all hosts has granted to this one, to be given out without asking again.
//!
//! Words: 0 `| until 32 | tokens 24 | tag 8 |`, until in steps of 16.8 ms; 1 until when somebody
//! fetches more; 2 what the store had left; 3 when the store has all of it again; 4 until when the
//! store has nothing. Tokens are added only when they were granted, so the sum over all hosts is
//! never more than the store gave out; those that are not used in time are lost.
use super::cells::Cell;
use super::{tag_of, tagged, untagged, Quota};
use std::sync::atomic::{AtomicU64, Ordering};

const STEP_BITS: u32 = 20;
const TOKEN_BITS: u32 = 24;
const TOKEN_MASK: u64 = (1 << TOKEN_BITS) - 1;
/// Ticks (134 ms): longer than a fetch may take, so that a dead fetcher is replaced.
const FETCH: u64 = 1 << 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Tokens that a host holds at most, less than 2^24.
    pub size: u64,
}

/// What the store answered, times in ticks of this host's clock.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    pub tokens: u64,
    /// The tokens are good until then.
    pub until: u64,
    /// What the store has left, for others and for later.
    pub remaining: u64,
    /// When the store has all of it again.
    pub full_at: u64,
    /// Without tokens: when asking makes sense again.
    pub retry_at: u64,
}

fn time_in(word: &AtomicU64, tag: u64) -> u64 {
    untagged(word.load(Ordering::Acquire), tag).unwrap_or(0)
}

impl Lease {
    fn tokens(word: u64, tag: u64, now: u64) -> u64 {
        match untagged(word, tag) {
            Some(value) if value >> TOKEN_BITS << STEP_BITS > now => value & TOKEN_MASK,
            _ => 0,
        }
    }

    /// Whether the caller is the one to fetch: one at a time on a host.
    fn claims_fetch(cell: &Cell, tag: u64, now: u64) -> bool {
        let word = &cell.words[1];
        let seen = word.load(Ordering::Acquire);
        let (ok, no) = (Ordering::AcqRel, Ordering::Relaxed);
        untagged(seen, tag).is_none_or(|until| until <= now)
            && word
                .compare_exchange(seen, tagged(now + FETCH, tag), ok, no)
                .is_ok()
    }

    fn stored(cell: &Cell, tag: u64, now: u64) -> (u64, u64) {
        let remaining = time_in(&cell.words[2], tag);
        (remaining, time_in(&cell.words[3], tag).saturating_sub(now))
    }

    /// Refused with a retry of 0: the store has to be asked.
    pub fn peek(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let tag = tag_of(key);
        let tokens = Self::tokens(cell.words[0].load(Ordering::Acquire), tag, now);
        let (remaining, reset) = Self::stored(cell, tag, now);
        if tokens >= weight {
            return Quota::allowed(remaining + tokens - weight, reset);
        }
        let retry_at = time_in(&cell.words[4], tag);
        if retry_at > now {
            return Quota::refused(tokens, reset, retry_at - now);
        }
        Quota {
            remaining: tokens,
            ..Quota::default()
        }
    }

    pub fn acquire(self, cell: &Cell, key: u64, weight: u64, now: u64) -> Quota {
        let (word, tag) = (&cell.words[0], tag_of(key));
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let tokens = Self::tokens(seen, tag, now);
            if tokens < weight {
                return self.peek(cell, key, weight, now);
            }
            let (ok, no) = (Ordering::AcqRel, Ordering::Acquire);
            let next = seen - (weight << super::TAG_BITS);
            match word.compare_exchange_weak(seen, next, ok, no) {
                Ok(_) => return self.given(cell, tag, tokens - weight, now),
                Err(found) => seen = found,
            }
        }
    }

    fn given(self, cell: &Cell, tag: u64, left: u64, now: u64) -> Quota {
        let (remaining, reset) = Self::stored(cell, tag, now);
        let low = left * 2 <= self.size && time_in(&cell.words[4], tag) <= now;
        Quota {
            wants_more: u32::from(low && Self::claims_fetch(cell, tag, now)),
            ..Quota::allowed(remaining + left, reset)
        }
    }

    /// Adds tokens that the store has granted.
    pub fn grant(self, cell: &Cell, key: u64, grant: Grant, now: u64) {
        let tag = tag_of(key);
        cell.keep_until(grant.until.max(grant.full_at).max(grant.retry_at));
        let store = |place: usize, value| {
            cell.words[place].store(tagged(value, tag), Ordering::Release);
        };
        store(2, grant.remaining);
        store(3, grant.full_at);
        store(4, grant.retry_at);
        let add = |word: u64| {
            let tokens = Self::tokens(word, tag, now) + grant.tokens;
            let until = grant.until >> STEP_BITS;
            Some(tagged(until << TOKEN_BITS | tokens.min(TOKEN_MASK), tag))
        };
        if grant.tokens > 0 {
            let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        }
        store(1, 0);
    }

    /// Takes what has not been used, unless more was granted since: `until` is that of the last grant.
    pub fn take_back(self, cell: &Cell, key: u64, until: u64, now: u64) -> u64 {
        let tag = tag_of(key);
        let newest = until >> STEP_BITS;
        let take = |word: u64| {
            let value = untagged(word, tag)?;
            let tokens = Self::tokens(word, tag, now);
            let emptied = value & !TOKEN_MASK;
            (value >> TOKEN_BITS == newest && tokens > 0).then(|| tagged(emptied, tag))
        };
        cell.words[0]
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .map_or(0, |word| Self::tokens(word, tag, now))
    }

    /// Gives back what `acquire` took, if it is still good.
    pub fn refund(self, cell: &Cell, key: u64, weight: u64) {
        let tag = tag_of(key);
        let back = |word: u64| {
            let value = untagged(word, tag)?;
            let tokens = ((value & TOKEN_MASK) + weight).min(TOKEN_MASK);
            Some(tagged(value & !TOKEN_MASK | tokens, tag))
        };
        let _ = cell.words[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, back);
    }
}
