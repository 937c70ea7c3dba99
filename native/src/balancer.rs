//! `Balancer`: a service's choice of endpoints, alone, for tests.

use gateway_core::balancer::{self as core, hash_key as core_hash_key, Endpoints, Kind, Members};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyclass(frozen, module = "gateway._core")]
pub struct Balancer {
    core: core::Balancer,
}

/// Endpoints of which the caller says everything; what a list leaves out is 0.
struct Told {
    refusing: Vec<usize>,
    in_flight: Vec<u64>,
    latency_us: Vec<f64>,
}

impl Endpoints for Told {
    fn accepts(&self, index: usize, _random: u64) -> bool {
        self.accepts_hashed(index)
    }

    fn accepts_hashed(&self, index: usize) -> bool {
        !self.refusing.contains(&index)
    }

    fn in_flight(&self, index: usize) -> u64 {
        self.in_flight.get(index).copied().unwrap_or_default()
    }

    fn total_in_flight(&self) -> u64 {
        self.in_flight.iter().sum()
    }

    fn latency_us(&self, index: usize) -> f64 {
        self.latency_us.get(index).copied().unwrap_or_default()
    }
}

#[pymethods]
impl Balancer {
    #[new]
    #[pyo3(signature = (kind, weights, seed, urls=None, max_load_percent=0))]
    fn new(
        kind: &str,
        weights: Vec<u32>,
        seed: u64,
        urls: Option<Vec<String>>,
        max_load_percent: u32,
    ) -> PyResult<Self> {
        let urls = urls.unwrap_or_else(|| (0..weights.len()).map(|n| n.to_string()).collect());
        let keys: Vec<u64> = urls.iter().map(|url| hash_key(url.as_bytes())).collect();
        let members = Members {
            weights: &weights,
            keys: &keys,
            max_load_percent,
            seed,
        };
        let build = |kind: Kind| core::Balancer::new(kind, members);
        let core = kind.parse().and_then(build);
        core.map(|core| Self { core })
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[pyo3(signature = (random, hash=0, refusing=None, in_flight=None, latency_us=None))]
    fn pick(
        &self,
        random: u64,
        hash: u64,
        refusing: Option<Vec<usize>>,
        in_flight: Option<Vec<u64>>,
        latency_us: Option<Vec<f64>>,
    ) -> Option<usize> {
        let told = Told {
            refusing: refusing.unwrap_or_default(),
            in_flight: in_flight.unwrap_or_default(),
            latency_us: latency_us.unwrap_or_default(),
        };
        let pick = core::Pick {
            random,
            hash,
            again: false,
        };
        self.core.pick(pick, &told)
    }
}

#[pyfunction]
pub fn hash_key(key: &[u8]) -> u64 {
    core_hash_key(key)
}
