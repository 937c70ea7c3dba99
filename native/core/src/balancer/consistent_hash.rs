//! Consistent hashing on a ring (D. Karger et al. 1997, in the manner of ketama): each endpoint has
//! points on a circle, a request goes to the first point behind its own hash. When an endpoint
//! leaves, only its own requests move; when one comes, it takes its share and no others move.
//!
//! With a bound on the load (V. Mirrokni et al., "Consistent Hashing with Bounded Loads", 2017) an
//! endpoint that has more than its share in flight is passed over, too.
#![forbid(unsafe_code)]

use super::{mix, Endpoints};

/// Points of an endpoint with the largest weight; the others have fewer, in proportion. Shares are
/// even to about 1 / sqrt(160), 8 %.
const POINTS: u64 = 160;

#[derive(Debug)]
pub struct ConsistentHash {
    /// Sorted by hash.
    ring: Box<[(u64, u16)]>,
    /// Where on the ring the hashes begin that have these leading bits: a look-up is a read and a
    /// step or two, however many endpoints there are.
    starts: Box<[u32]>,
    shift: u32,
    weights: Box<[u32]>,
    total_weight: u64,
    /// In flight at one endpoint, in percent of its share; 0 = no bound.
    max_load_percent: u32,
}

impl ConsistentHash {
    /// `keys`: what each endpoint is recognised by, whatever its place in the list. `weights`: not
    /// all 0, as many as keys, at most `MAX_ENDPOINTS`.
    pub fn new(weights: &[u32], keys: &[u64], max_load_percent: u32) -> Self {
        let heaviest = u64::from(weights.iter().copied().max().unwrap_or(1)).max(1);
        let mut ring: Vec<(u64, u16)> = Vec::new();
        for (index, (&weight, &key)) in weights.iter().zip(keys).enumerate() {
            let points = (POINTS * u64::from(weight)).div_ceil(heaviest);
            let point = |number: u64| (mix(key ^ mix(number)), index as u16);
            ring.extend((0..points).map(point));
        }
        // Two endpoints at the same point: the order of their hashes' owners decides, and a key
        // does not depend on the place in the list, so break ties by key.
        ring.sort_unstable_by_key(|&(hash, index)| (hash, keys[usize::from(index)]));
        let bits = ring.len().next_power_of_two().ilog2().max(1);
        let shift = 64 - bits;
        let begins = |bucket: u64| ring.partition_point(|&(hash, _)| hash >> shift < bucket) as u32;
        Self {
            starts: (0..1_u64 << bits).map(begins).collect(),
            shift,
            weights: weights.into(),
            total_weight: weights.iter().copied().map(u64::from).sum(),
            max_load_percent,
            ring: ring.into_boxed_slice(),
        }
    }

    pub fn pick<E: Endpoints>(&self, hash: u64, endpoints: &E) -> Option<usize> {
        let start = self.position(hash);
        let in_flight = match self.max_load_percent {
            0 => 0,
            _ => endpoints.total_in_flight(),
        };
        let mut second_best = None;
        let mut last = usize::MAX;
        for step in 0..self.ring.len() {
            let index = usize::from(self.ring[(start + step) % self.ring.len()].1);
            if index == last || !endpoints.accepts_hashed(index) {
                continue;
            }
            last = index;
            if self.max_load_percent == 0
                || endpoints.in_flight(index) < self.most_in_flight(index, in_flight)
            {
                return Some(index);
            }
            second_best = second_best.or(Some(index));
        }
        second_best
    }

    /// Of the first point at or behind `hash`; the ring's end is followed by its beginning.
    fn position(&self, hash: u64) -> usize {
        let mut at = self.starts[(hash >> self.shift) as usize] as usize;
        while at < self.ring.len() && self.ring[at].0 < hash {
            at += 1;
        }
        at % self.ring.len()
    }

    /// Counts this request with the others, and rounds up: an idle service has room for one.
    fn most_in_flight(&self, index: usize, total: u64) -> u64 {
        let share = (total + 1) * u64::from(self.weights[index]) * u64::from(self.max_load_percent);
        share.div_ceil(self.total_weight * 100)
    }
}

/// The hash of a key: FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo), finished by `mix`, for FNV leaves the
/// high bits, which choose the place on the ring, poorly mixed. The same on every host and in every
/// version: it must not be seeded, so whoever knows it can choose keys that meet at one endpoint.
pub fn hash_key(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, step))
}
