//! Table of contents of the one shared object: the Python classes over
//! `gateway-core`, the C face that Cython calls, and Cython's own modules.

use pyo3::prelude::*;

mod cython;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("CYTHON_MODULES", cython::MODULES)?;
    Ok(())
}
