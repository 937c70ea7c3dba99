//! Binding of `gateway_core::path`.

use gateway_core::path::{normalize, EncodedSlashes};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Reads the configuration's `encoded_slashes`.
pub fn encoded_slashes(name: &str) -> PyResult<EncodedSlashes> {
    EncodedSlashes::from_name(name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "encoded_slashes: '{name}' is unknown; write 'reject' or 'keep'"
        ))
    })
}

/// The canonical form of a request's path.
#[pyfunction]
#[pyo3(signature = (path, encoded_slashes = "reject"))]
pub fn normalize_path<'py>(
    py: Python<'py>,
    path: &[u8],
    encoded_slashes: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let slashes = self::encoded_slashes(encoded_slashes)?;
    match normalize(path, slashes) {
        Ok(canonical) => Ok(PyBytes::new(py, &canonical)),
        Err(error) => Err(PyValueError::new_err(error.name())),
    }
}
