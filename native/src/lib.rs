//! Table of contents of the one shared object: the Python classes over
//! `gateway-core`, the C face that Cython calls, and Cython's own modules.

use pyo3::prelude::*;

mod balancer;
mod breaker;
mod capi;
mod cython;
mod endpoint_set;
mod limiter;
mod lru;
mod path;
mod routes;
mod segment;
mod timer_wheel;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("CYTHON_MODULES", cython::MODULES)?;
    module.add_class::<routes::RouteTable>()?;
    module.add_class::<routes::Match>()?;
    module.add_class::<routes::Candidate>()?;
    module.add_function(wrap_pyfunction!(path::normalize_path, module)?)?;
    module.add_class::<balancer::Balancer>()?;
    module.add_function(wrap_pyfunction!(balancer::hash_key, module)?)?;
    module.add_class::<breaker::Breaker>()?;
    module.add_class::<endpoint_set::EndpointSet>()?;
    module.add_class::<lru::Lru>()?;
    module.add_class::<limiter::Limits>()?;
    module.add_class::<segment::Segment>()?;
    module.add_class::<timer_wheel::TimerWheel>()?;
    segment::add_tables(module)?;
    limiter::add_bounds(module)?;
    Ok(())
}
