//! Chooses the endpoint of a service that serves the next request.
//!
//! A balancer is built once with its service's Plan and then only picked from, in O(1), through a
//! shared reference: what changes from pick to pick is an atomic. It answers with an index into the
//! list of weights, which is the service's list of endpoints. A weight of 0 keeps an endpoint from
//! being picked, unless all weights are 0: then all count the same.
//!
//! What it does not know itself (who may be picked, how busy each one is) it asks `Endpoints`.
#![forbid(unsafe_code)]

mod consistent_hash;
mod two_choices;
mod weighted_random;
mod weighted_round_robin;

use std::fmt;
use std::str::FromStr;

pub use consistent_hash::hash_key;
use consistent_hash::ConsistentHash;
use two_choices::{Measure, TwoChoices};
use weighted_random::WeightedRandom;
use weighted_round_robin::WeightedRoundRobin;

/// Endpoints of one service. The schedule of round robin costs endpoints x entries to build, so
/// this bounds the worst case of installing a Plan: half a second for 4,096 endpoints whose weights
/// have no common divisor, 1 ms for 8 of them, and microseconds for weights such as 3, 2, 1.
pub const MAX_ENDPOINTS: usize = 4096;

/// The kinds of balancing, by the names that the configuration uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    WeightedRoundRobin,
    WeightedRandom,
    LeastRequest,
    Ewma,
    ConsistentHash,
}

impl Kind {
    pub const ALL: [Kind; 5] = [
        Kind::WeightedRoundRobin,
        Kind::WeightedRandom,
        Kind::LeastRequest,
        Kind::Ewma,
        Kind::ConsistentHash,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::WeightedRoundRobin => "weighted_round_robin",
            Kind::WeightedRandom => "weighted_random",
            Kind::LeastRequest => "least_request",
            Kind::Ewma => "ewma",
            Kind::ConsistentHash => "consistent_hash",
        }
    }
}

impl FromStr for Kind {
    type Err = BalancerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| BalancerError::UnknownKind(name.to_owned()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalancerError {
    UnknownKind(String),
    NoEndpoints,
    TooManyEndpoints(usize),
    Keys(usize, usize),
}

impl fmt::Display for BalancerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BalancerError::UnknownKind(name) => {
                let names = Kind::ALL.map(Kind::name).join(", ");
                write!(f, "balance: unknown kind {name:?}; use one of {names}")
            }
            BalancerError::NoEndpoints => {
                write!(f, "weights: a balancer needs at least one endpoint")
            }
            BalancerError::TooManyEndpoints(count) => write!(
                f,
                "weights: {count} endpoints, a service takes at most {MAX_ENDPOINTS}; \
                 split the service"
            ),
            BalancerError::Keys(keys, weights) => {
                write!(f, "keys: {keys} for {weights} weights; give one for each")
            }
        }
    }
}

impl std::error::Error for BalancerError {}

/// What the balancer is told about the endpoints at the moment of a pick.
pub trait Endpoints {
    /// Whether this request may go to it. One that starts slowly accepts now and then, by `random`.
    fn accepts(&self, index: usize, random: u64) -> bool;
    /// The same without slow start, which would send a key here and there.
    fn accepts_hashed(&self, index: usize) -> bool;
    fn in_flight(&self, index: usize) -> u64;
    /// Of all endpoints together.
    fn total_in_flight(&self) -> u64;
    /// Average, µs; 0 if it has not answered yet.
    fn latency_us(&self, index: usize) -> f64;
}

/// What a pick depends on beside the endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// 64 uniform bits, the only randomness of a pick; kinds that do not draw ignore it.
    pub random: u64,
    /// `hash_key` of what the request is recognised by, for consistent hashing.
    pub hash: u64,
    /// Another attempt of a request that has had its turn: round robin stays where it is. Else, with
    /// two endpoints of which one fails, each retry would take the turn of the one that works.
    pub again: bool,
}

/// What a balancer is built from, beside its kind.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    pub weights: &'a [u32],
    /// What each endpoint is recognised by; as many as weights.
    pub keys: &'a [u64],
    /// For consistent hashing: bound of an endpoint's load, in percent of its share; 0 = none.
    pub max_load_percent: u32,
    /// Where round robin begins. Give each worker its own, so that workers that start together do
    /// not all send their first requests to the same endpoint.
    pub seed: u64,
}

/// One kind with its state. An enum and not a trait object: a pick is a jump, not a virtual call,
/// and Cython needs one type to point to. A new kind is a new variant with the same `pick`.
#[derive(Debug)]
enum Choice {
    WeightedRoundRobin(WeightedRoundRobin),
    WeightedRandom(WeightedRandom),
    TwoChoices(TwoChoices),
    ConsistentHash(ConsistentHash),
}

#[derive(Debug)]
pub struct Balancer {
    choice: Choice,
    weights: Box<[u32]>,
}

impl Balancer {
    pub fn new(kind: Kind, members: Members<'_>) -> Result<Self, BalancerError> {
        let Members { weights, keys, .. } = members;
        if weights.is_empty() {
            return Err(BalancerError::NoEndpoints);
        }
        if weights.len() > MAX_ENDPOINTS {
            return Err(BalancerError::TooManyEndpoints(weights.len()));
        }
        if weights.len() != keys.len() {
            return Err(BalancerError::Keys(keys.len(), weights.len()));
        }
        let weights: Box<[u32]> = if weights.iter().all(|&weight| weight == 0) {
            vec![1; weights.len()].into()
        } else {
            weights.into()
        };
        let choice = match kind {
            Kind::WeightedRoundRobin => {
                Choice::WeightedRoundRobin(WeightedRoundRobin::new(&weights, members.seed))
            }
            Kind::WeightedRandom => Choice::WeightedRandom(WeightedRandom::new(&weights)),
            Kind::LeastRequest => Choice::TwoChoices(TwoChoices::new(Measure::Load, &weights)),
            Kind::Ewma => Choice::TwoChoices(TwoChoices::new(Measure::Latency, &weights)),
            Kind::ConsistentHash => {
                let bound = members.max_load_percent;
                Choice::ConsistentHash(ConsistentHash::new(&weights, keys, bound))
            }
        };
        Ok(Self { choice, weights })
    }

    /// 0 = is never picked.
    pub fn weights(&self) -> &[u32] {
        &self.weights
    }

    /// Index of the endpoint to use; None if none accepts.
    #[inline]
    pub fn pick<E: Endpoints>(&self, pick: Pick, endpoints: &E) -> Option<usize> {
        match &self.choice {
            Choice::WeightedRoundRobin(kind) => {
                let first = if pick.again {
                    kind.at(pick.random)
                } else {
                    kind.pick()
                };
                first_accepted(
                    &self.weights,
                    pick,
                    first,
                    |random| kind.at(random),
                    endpoints,
                )
            }
            Choice::WeightedRandom(kind) => {
                let first = kind.pick(pick.random);
                first_accepted(
                    &self.weights,
                    pick,
                    first,
                    |random| kind.pick(random),
                    endpoints,
                )
            }
            Choice::TwoChoices(kind) => kind.pick(pick, endpoints),
            Choice::ConsistentHash(kind) => kind.pick(pick.hash, endpoints),
        }
    }
}

/// Draws before a plain scan. With half of the endpoints out, one pick in 256 comes to the scan,
/// which favours the neighbours of those who are out.
const DRAWS: u64 = 8;

/// `first` if it accepts; else the first drawn one that does; then any, in the order of the list.
#[inline]
fn first_accepted<E: Endpoints>(
    weights: &[u32],
    pick: Pick,
    first: usize,
    draw: impl Fn(u64) -> usize,
    endpoints: &E,
) -> Option<usize> {
    if endpoints.accepts(first, pick.random) {
        return Some(first);
    }
    let mut last = first;
    for number in 1..DRAWS {
        let random = mix(pick.random.wrapping_add(number));
        last = draw(random);
        if endpoints.accepts(last, random) {
            return Some(last);
        }
    }
    let count = weights.len();
    (last..last + count)
        .map(|index| index % count)
        .find(|&index| weights[index] != 0 && endpoints.accepts_hashed(index))
}

/// The finaliser of splitmix64 (G. L. Steele, D. Lea, C. H. Flood 2014): every bit of the result
/// depends on every bit of the argument.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
