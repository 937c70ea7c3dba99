//! The power of two choices (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001): two endpoints are drawn by their weights, and the one that promises to answer
//! sooner gets the request. A tie goes to the first, so that idle endpoints are used by weight.
#![forbid(unsafe_code)]

use super::{first_accepted, mix, weighted_random::WeightedRandom, Endpoints, Pick};

/// What "sooner" is judged by.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// Requests in flight for each unit of weight.
    Load,
    /// Latency (peak EWMA, as in Finagle's) times the requests that are before this one.
    Latency,
}

/// Cost of a request in flight at an endpoint that has not answered yet, µs: others come first.
const UNKNOWN_US: f64 = 1_000_000.0;
/// Draws for a second endpoint that is not the first.
const SECOND_DRAWS: u64 = 3;

#[derive(Debug)]
pub struct TwoChoices {
    measure: Measure,
    draw: WeightedRandom,
    weights: Box<[u32]>,
}

impl TwoChoices {
    /// `weights`: as for `WeightedRandom`.
    pub fn new(measure: Measure, weights: &[u32]) -> Self {
        Self {
            measure,
            draw: WeightedRandom::new(weights),
            weights: weights.into(),
        }
    }

    pub fn pick<E: Endpoints>(&self, pick: Pick, endpoints: &E) -> Option<usize> {
        let draw = |random| self.draw.pick(random);
        let drawn = draw(pick.random);
        let first = first_accepted(&self.weights, pick, drawn, draw, endpoints)?;
        let second = (1..=SECOND_DRAWS)
            .map(|number| self.draw.pick(mix(pick.random.wrapping_sub(number))))
            .find(|&other| other != first && endpoints.accepts(other, pick.random));
        match second.or_else(|| self.next_accepted(first, endpoints)) {
            Some(second) if self.cost(second, endpoints) < self.cost(first, endpoints) => {
                Some(second)
            }
            _ => Some(first),
        }
    }

    /// Whoever stands behind `first`, where the weights are so uneven that no draw finds another.
    fn next_accepted<E: Endpoints>(&self, first: usize, endpoints: &E) -> Option<usize> {
        let count = self.weights.len();
        (first + 1..first + count)
            .map(|index| index % count)
            .find(|&index| self.weights[index] != 0 && endpoints.accepts_hashed(index))
    }

    fn cost<E: Endpoints>(&self, index: usize, endpoints: &E) -> f64 {
        let in_flight = endpoints.in_flight(index) as f64;
        match self.measure {
            Measure::Load => in_flight / f64::from(self.weights[index]),
            Measure::Latency => match endpoints.latency_us(index) {
                0.0 => UNKNOWN_US * in_flight,
                latency_us => latency_us * (in_flight + 1.0),
            },
        }
    }
}
