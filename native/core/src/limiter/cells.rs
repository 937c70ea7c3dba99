//! The table of cells: open addressing with a bounded probe, in shared memory, for any number of
//! writers.
//!
//! A key keeps its cell until another one needs it. The cells that a new key may take are the first
//! `PROBES` behind its hash. It takes the one that has been empty for longest: an empty cell says what
//! an absent one says, and who comes often keeps his. When none is empty, it takes the one that will
//! be so soonest, and that is counted: this forgets a limit. Whoever floods the table with keys fills it with cells that are empty soon,
//! and these go first; a bucket that he has drained is empty last, so he cannot reset it this way.
use std::sync::atomic::{AtomicU64, Ordering};

/// Room for 1,000,000 keys at half load. 128 MiB of address space; pages never used take no memory.
pub const DEFAULT_CELLS: usize = 1 << 21;
/// Cells that a key may be in. At half load one key in 30,000 finds them all in use.
const PROBES: usize = 16;
/// No cell belongs to it; fresh shared memory is zero.
const NOBODY: u64 = 0;
/// Ticks (67 ms): how long a cell belongs to its new owner before he has used it.
const GRACE: u64 = 1 << 22;

pub const WORDS: usize = 6;

/// A cache line.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Cell {
    key: AtomicU64,
    /// Ticks. From then on the cell says what an absent one says.
    empty_at: AtomicU64,
    pub(super) words: [AtomicU64; WORDS],
}

impl Cell {
    /// Before what is written in the cell counts until `ticks`.
    #[inline]
    pub(super) fn keep_until(&self, ticks: u64) {
        // Not atomic together: a shorter time that wins makes the cell free early, by one request.
        if self.empty_at.load(Ordering::Relaxed) < ticks {
            self.empty_at.store(ticks, Ordering::Release);
        }
    }
}

/// What happened to the cells.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Tally {
    evictions: AtomicU64,
}

#[derive(Clone, Copy)]
pub struct CellTable<'a> {
    cells: &'a [Cell],
    tally: &'a Tally,
}

impl<'a> CellTable<'a> {
    /// `cells`: a power of two of them, at least `PROBES`.
    pub fn new(cells: &'a [Cell], tally: &'a Tally) -> Self {
        debug_assert!(cells.len().is_power_of_two() && cells.len() >= PROBES);
        Self { cells, tally }
    }

    /// Limits forgotten because all places of a new key were in use.
    pub fn evictions(&self) -> u64 {
        self.tally.evictions.load(Ordering::Relaxed)
    }

    /// Brings the cell where a search for `key` begins into the cache. Loads that do not depend on each
    /// other wait for memory at the same time.
    #[inline]
    pub(super) fn touch(&self, key: u64) {
        let cell = &self.cells[key as usize & (self.cells.len() - 1)];
        std::hint::black_box(cell.key.load(Ordering::Relaxed));
    }

    /// The cell of `key`, which is its own afterwards.
    #[inline]
    pub(super) fn own(&self, key: u64, now: u64) -> &'a Cell {
        loop {
            match self.look(key) {
                Place::Found(cell) => return cell,
                Place::Free(cell, owner) => self.claim(cell, owner, key, now),
            }
            // Claimed, by us or by somebody else, perhaps for the same key: look again.
        }
    }

    /// The cell of `key`, if it has one.
    pub(super) fn find(&self, key: u64) -> Option<&'a Cell> {
        match self.look(key) {
            Place::Found(cell) => Some(cell),
            Place::Free(..) => None,
        }
    }

    #[inline]
    fn look(&self, key: u64) -> Place<'a> {
        let mask = self.cells.len() - 1;
        let mut free: Option<(&Cell, u64, u64)> = None;
        for probe in 0..PROBES {
            let cell = &self.cells[(key as usize).wrapping_add(probe) & mask];
            let owner = cell.key.load(Ordering::Acquire);
            if owner == key {
                return Place::Found(cell);
            }
            let empty_at = match owner {
                NOBODY => 0,
                _ => cell.empty_at.load(Ordering::Acquire),
            };
            if free.is_none_or(|(.., least)| empty_at < least) {
                free = Some((cell, owner, empty_at));
            }
            if owner == NOBODY {
                break;
            }
        }
        let (cell, owner, _) = free.unwrap_or((&self.cells[key as usize & mask], NOBODY, 0));
        Place::Free(cell, owner)
    }

    #[cold]
    fn claim(&self, cell: &Cell, owner: u64, key: u64, now: u64) {
        let in_use = owner != NOBODY && cell.empty_at.load(Ordering::Relaxed) > now;
        // First, so that nobody takes it for empty between our two steps.
        cell.keep_until(now + GRACE);
        let order = Ordering::AcqRel;
        let taken = cell
            .key
            .compare_exchange(owner, key, order, Ordering::Relaxed);
        if taken.is_ok() && in_use {
            self.tally.evictions.fetch_add(1, Ordering::Relaxed);
            cell.empty_at.store(now + GRACE, Ordering::Release);
        }
    }
}

enum Place<'a> {
    Found(&'a Cell),
    /// The one to take, and whose it was when we looked.
    Free(&'a Cell, u64),
}
