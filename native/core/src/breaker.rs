//! Stops asking a service that fails, and asks carefully whether it is back.
//!
//! ```text
//!            too many failures              open time over
//!  CLOSED ---------------------> OPEN ----------------------> HALF_OPEN
//!    ^                            ^   <---- a probe fails ------  |  |^
//!    `----- all probes of a round succeed -----------------------'   `' the round is over and
//!                                                                       undecided: another one
//! ```
//!
//! The state is one word in the shared segment, changed by compare-and-swap: all workers of a host
//! see one breaker, and one of them, no matter which, makes each transition. Every transition
//! begins a new generation; a request is admitted with a ticket, the number of its generation, and
//! what is reported with an old ticket counts no more.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::window::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    /// Nothing is known: the client went away. Gives a probe's place back.
    Abandoned,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub window_ms: u64,
    /// Fewer of them in the window decide nothing.
    pub min_requests: u32,
    /// Of the requests in the window.
    pub failure_permille: u32,
    /// The first time; doubles each time that the service is not back …
    pub open_for_ms: u64,
    /// … up to this.
    pub open_max_ms: u64,
    /// Requests that a half-open breaker admits, all of which must succeed.
    pub probes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// `entered`: the state that the breaker changed to with this request.
    Admitted {
        ticket: u32,
        entered: Option<State>,
    },
    Refused {
        retry_after_ms: u64,
    },
}

/// A service's breaker in the segment. Zeroed memory is a closed one.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct BreakerCell {
    word: AtomicU64,
    /// Bits: 32.. generation that they belong to, 16.. probes admitted, 0.. probes that succeeded.
    probes: AtomicU64,
    /// Times it has opened since it was last closed.
    openings: AtomicU32,
    window: Window,
}

/// Bits: 62.. state, 40.. generation (22), 0.. until, ms (40 bits are 34 years).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    state: State,
    generation: u32,
    /// When the open time, or a round of probes, is over.
    until_ms: u64,
}

const GENERATION_MASK: u32 = (1 << 22) - 1;
const UNTIL_MASK: u64 = (1 << 40) - 1;
/// Doubled more often than this, any open time is at its bound.
const MOST_DOUBLINGS: u32 = 20;

impl Word {
    fn unpack(bits: u64) -> Self {
        let state = match bits >> 62 {
            1 => State::Open,
            2 => State::HalfOpen,
            _ => State::Closed,
        };
        Self {
            state,
            generation: (bits >> 40) as u32 & GENERATION_MASK,
            until_ms: bits & UNTIL_MASK,
        }
    }

    fn pack(self) -> u64 {
        (self.state as u64) << 62 | u64::from(self.generation) << 40 | (self.until_ms & UNTIL_MASK)
    }

    fn next(self, state: State, until_ms: u64) -> Self {
        Self {
            state,
            generation: (self.generation + 1) & GENERATION_MASK,
            until_ms,
        }
    }
}

impl BreakerCell {
    pub fn state(&self) -> State {
        self.word().state
    }

    /// When it will admit probes; 0 unless it is open.
    pub fn open_until_ms(&self) -> u64 {
        let word = self.word();
        match word.state {
            State::Open => word.until_ms,
            _ => 0,
        }
    }

    /// Opens it for what another host has found out, if it is closed: whoever is open, or asks with
    /// probes, knows for itself. Only the control process calls this.
    pub fn open_until(&self, until_ms: u64) -> bool {
        let word = self.word();
        word.state == State::Closed && self.replace(word, word.next(State::Open, until_ms))
    }

    fn word(&self) -> Word {
        Word::unpack(self.word.load(Relaxed))
    }

    fn replace(&self, old: Word, new: Word) -> bool {
        let (old, new) = (old.pack(), new.pack());
        self.word
            .compare_exchange(old, new, Relaxed, Relaxed)
            .is_ok()
    }

    /// Takes one of the places of this round.
    fn take_probe(&self, generation: u32, limit: u32) -> bool {
        let taken = self.probes.fetch_update(Relaxed, Relaxed, |old| {
            let (admitted, succeeded) = counts(old, generation);
            (admitted < u64::from(limit)).then(|| probes(generation, admitted + 1, succeeded))
        });
        taken.is_ok()
    }

    fn give_probe_back(&self, generation: u32) {
        let _ = self.probes.fetch_update(Relaxed, Relaxed, |old| {
            let (admitted, succeeded) = counts(old, generation);
            Some(probes(generation, admitted.saturating_sub(1), succeeded))
        });
    }

    /// How many have succeeded in this round, with this one.
    fn probe_succeeded(&self, generation: u32) -> u64 {
        let add = |old| {
            let (admitted, succeeded) = counts(old, generation);
            Some(probes(generation, admitted, succeeded + 1))
        };
        match self.probes.fetch_update(Relaxed, Relaxed, add) {
            Ok(old) | Err(old) => counts(old, generation).1 + 1,
        }
    }
}

fn probes(generation: u32, admitted: u64, succeeded: u64) -> u64 {
    u64::from(generation) << 32 | admitted << 16 | succeeded
}

/// Admitted and succeeded probes of a generation: none, if the word is of an earlier one.
fn counts(word: u64, generation: u32) -> (u64, u64) {
    if word >> 32 == u64::from(generation) {
        (word >> 16 & 0xFFFF, word & 0xFFFF)
    } else {
        (0, 0)
    }
}

/// One service's rules over its cell.
#[derive(Clone, Copy, Debug)]
pub struct Breaker<'a> {
    cell: &'a BreakerCell,
    settings: Settings,
}

impl<'a> Breaker<'a> {
    pub fn new(cell: &'a BreakerCell, settings: Settings) -> Self {
        Self { cell, settings }
    }

    pub fn cell(&self) -> &'a BreakerCell {
        self.cell
    }

    /// Asked before each attempt. What is admitted must be reported, once.
    #[inline]
    pub fn admit(&self, now_ms: u64) -> Admission {
        let word = self.cell.word();
        if word.state == State::Closed {
            return Admission::Admitted {
                ticket: word.generation,
                entered: None,
            };
        }
        self.admit_probe(word, now_ms)
    }

    #[cold]
    fn admit_probe(&self, mut word: Word, now_ms: u64) -> Admission {
        let mut entered = None;
        if now_ms >= word.until_ms {
            let round = word.next(State::HalfOpen, now_ms + self.settings.open_for_ms);
            if self.cell.replace(word, round) {
                entered = (word.state == State::Open).then_some(State::HalfOpen);
                word = round;
            } else {
                // Another worker was faster; one look at what it has made of it.
                word = self.cell.word();
            }
        }
        let ticket = word.generation;
        let admitted = match word.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => self.cell.take_probe(ticket, self.settings.probes),
        };
        if admitted {
            Admission::Admitted { ticket, entered }
        } else {
            let retry_after_ms = word.until_ms.saturating_sub(now_ms).max(1);
            Admission::Refused { retry_after_ms }
        }
    }

    /// What became of an admitted request. Returns the state that the breaker changed to with it.
    /// `random`: 64 uniform bits, for the length of the open time.
    #[inline]
    pub fn report(&self, ticket: u32, outcome: Outcome, now_ms: u64, random: u64) -> Option<State> {
        let word = self.cell.word();
        if word.generation != ticket {
            return None;
        }
        match (word.state, outcome) {
            (State::Closed, Outcome::Abandoned) | (State::Open, _) => None,
            (State::Closed, _) => {
                let Settings { window_ms, .. } = self.settings;
                let failed = outcome == Outcome::Failure;
                self.cell.window.add(window_ms, now_ms, failed);
                if failed && self.is_failing(now_ms) {
                    self.open(word, now_ms, random)
                } else {
                    None
                }
            }
            (State::HalfOpen, Outcome::Abandoned) => {
                self.cell.give_probe_back(ticket);
                None
            }
            (State::HalfOpen, Outcome::Failure) => self.open(word, now_ms, random),
            (State::HalfOpen, Outcome::Success) => {
                if self.cell.probe_succeeded(ticket) < u64::from(self.settings.probes) {
                    return None;
                }
                self.close(word)
            }
        }
    }

    fn is_failing(&self, now_ms: u64) -> bool {
        let totals = self.cell.window.totals(self.settings.window_ms, now_ms);
        totals.exceed(self.settings.min_requests, self.settings.failure_permille)
    }

    /// Between four fifths and the whole of the time, so that the breakers of many hosts do not all
    /// send their probes at the same moment.
    fn open(&self, word: Word, now_ms: u64, random: u64) -> Option<State> {
        let openings = self.cell.openings.load(Relaxed);
        let longest = self.settings.open_max_ms.max(self.settings.open_for_ms);
        let open_ms = (self.settings.open_for_ms << openings.min(MOST_DOUBLINGS)).min(longest);
        let jitter_ms = ((random >> 32) * (open_ms / 5)) >> 32;
        let opened = word.next(State::Open, now_ms + open_ms - jitter_ms);
        if !self.cell.replace(word, opened) {
            return None;
        }
        self.cell
            .openings
            .store(openings.saturating_add(1), Relaxed);
        Some(State::Open)
    }

    fn close(&self, word: Word) -> Option<State> {
        // Before the swap: nothing counts while it is half open, so nothing is lost, and a process
        // that is killed in between leaves no failures of before.
        self.cell.window.clear();
        if !self.cell.replace(word, word.next(State::Closed, 0)) {
            return None;
        }
        self.cell.openings.store(0, Relaxed);
        Some(State::Closed)
    }
}

#[cfg(test)]
mod tests;
