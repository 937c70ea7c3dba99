//! Chooses the endpoint of a service that serves the next request.
//!
//! A balancer is built once with its service's Plan and then only picked from, in O(1), through a
//! shared reference: what changes from pick to pick is an atomic. It answers with an index into the
//! list of weights, which is the service's list of endpoints. A weight of 0 keeps an endpoint from
//! being picked, unless all weights are 0: then all count the same.
#![forbid(unsafe_code)]

mod weighted_random;
mod weighted_round_robin;

use std::fmt;
use std::str::FromStr;

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
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::WeightedRoundRobin, Kind::WeightedRandom];

    pub fn name(self) -> &'static str {
        match self {
            Kind::WeightedRoundRobin => "weighted_round_robin",
            Kind::WeightedRandom => "weighted_random",
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
        }
    }
}

impl std::error::Error for BalancerError {}

/// One kind with its state. An enum and not a trait object: a pick is a jump, not a virtual call,
/// and Cython needs one type to point to. A new kind is a new variant with the same `pick`.
#[derive(Debug)]
pub enum Balancer {
    WeightedRoundRobin(WeightedRoundRobin),
    WeightedRandom(WeightedRandom),
}

impl Balancer {
    /// `seed` sets where round robin begins. Give each worker its own, so that workers that start
    /// together do not all send their first requests to the same endpoint.
    pub fn new(kind: Kind, weights: &[u32], seed: u64) -> Result<Self, BalancerError> {
        if weights.is_empty() {
            return Err(BalancerError::NoEndpoints);
        }
        if weights.len() > MAX_ENDPOINTS {
            return Err(BalancerError::TooManyEndpoints(weights.len()));
        }
        let weights = if weights.iter().all(|&weight| weight == 0) {
            vec![1; weights.len()]
        } else {
            weights.to_vec()
        };
        Ok(match kind {
            Kind::WeightedRoundRobin => {
                Balancer::WeightedRoundRobin(WeightedRoundRobin::new(&weights, seed))
            }
            Kind::WeightedRandom => Balancer::WeightedRandom(WeightedRandom::new(&weights)),
        })
    }

    /// Index of the endpoint to use. `random`: 64 uniform bits, the only randomness a pick has;
    /// kinds that do not draw ignore it.
    #[inline]
    pub fn pick(&self, random: u64) -> usize {
        match self {
            Balancer::WeightedRoundRobin(kind) => kind.pick(),
            Balancer::WeightedRandom(kind) => kind.pick(random),
        }
    }
}

#[cfg(test)]
mod tests;
