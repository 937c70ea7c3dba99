//! Smooth weighted round robin, as nginx does it (commit 52327e0627f4, "smooth weighted round-robin
//! balancing", 2012): each turn every endpoint gains its weight, the richest is picked and pays the
//! sum of all weights. Weights 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`.
//!
//! The order repeats after (sum of weights / their gcd) picks, so it is written down once and a pick
//! is a read at a cursor.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries of a schedule, two bytes each: 128 KiB at most. Weights whose reduced sum is larger are
/// scaled down to fit (see `scaled`).
pub const MAX_SCHEDULE: usize = 65_536;

#[derive(Debug)]
pub struct WeightedRoundRobin {
    schedule: Box<[u16]>,
    cursor: AtomicU64,
}

impl WeightedRoundRobin {
    /// `weights`: not empty, not all 0, at most `MAX_ENDPOINTS` (which fits in a `u16`).
    pub fn new(weights: &[u32], seed: u64) -> Self {
        Self {
            schedule: schedule(&reduced(weights)),
            cursor: AtomicU64::new(seed),
        }
    }

    #[inline]
    pub fn pick(&self) -> usize {
        // Relaxed: the cursor orders nothing but itself.
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        self.at(turn)
    }

    /// By weight, at any place of the schedule; the turn stays.
    #[inline]
    pub fn at(&self, turn: u64) -> usize {
        usize::from(self.schedule[(turn % self.schedule.len() as u64) as usize])
    }
}

/// The same proportions in the smallest numbers, and never more than `MAX_SCHEDULE` in sum.
fn reduced(weights: &[u32]) -> Vec<u32> {
    let exact = divided_by_gcd(weights);
    if sum(&exact) <= MAX_SCHEDULE as u64 {
        return exact;
    }
    divided_by_gcd(&scaled(&exact))
}

/// Scales down to a sum of at most `MAX_SCHEDULE`. An endpoint with a weight keeps at least one
/// entry; room for that is set aside first, so the sum cannot exceed the limit. Each endpoint's
/// entries are off by less than one from its share of the scaled sum, or are that one entry.
fn scaled(weights: &[u32]) -> Vec<u32> {
    let total = sum(weights);
    let weighted = weights.iter().filter(|&&weight| weight > 0).count();
    let room = (MAX_SCHEDULE - weighted) as u64;
    let scale = |&weight: &u32| match weight {
        0 => 0,
        // At most `room`, so it fits; u32 x 16 bits does not overflow u64.
        _ => (u64::from(weight) * room / total).max(1) as u32,
    };
    weights.iter().map(scale).collect()
}

fn schedule(weights: &[u32]) -> Box<[u16]> {
    // At most MAX_SCHEDULE, and a sum lies between plus and minus it: i32 is enough, and three
    // plain passes over it compile to vector instructions.
    let total = sum(weights) as i32;
    let mut current = vec![0_i32; weights.len()];
    let next = |_| {
        for (have, &gain) in current.iter_mut().zip(weights) {
            *have += gain as i32;
        }
        let richest = current.iter().copied().fold(i32::MIN, i32::max);
        // The first of them: the earlier endpoint wins a tie, as in nginx.
        let best = current.iter().position(|&have| have == richest);
        let best = best.unwrap_or_default();
        current[best] -= total;
        best as u16
    };
    (0..total).map(next).collect()
}

fn divided_by_gcd(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd);
    weights.iter().map(|weight| weight / divisor).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

fn sum(weights: &[u32]) -> u64 {
    weights.iter().copied().map(u64::from).sum()
}
