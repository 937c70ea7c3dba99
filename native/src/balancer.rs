//! `Balancer`: a service's choice of endpoints, for the Plan that holds it and for tests.

use gateway_core::balancer::{self as core, Kind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyclass(frozen, module = "gateway._core")]
pub struct Balancer {
    core: core::Balancer,
}

#[pymethods]
impl Balancer {
    #[new]
    fn new(kind: &str, weights: Vec<u32>, seed: u64) -> PyResult<Self> {
        let build = |kind: Kind| core::Balancer::new(kind, &weights, seed);
        let core = kind.parse().and_then(build);
        core.map(|core| Self { core })
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn pick(&self, random: u64) -> usize {
        self.core.pick(random)
    }

    /// A Python object does not move, and a frozen one is not replaced.
    #[getter]
    fn address(&self) -> usize {
        (&raw const self.core).addr()
    }
}
