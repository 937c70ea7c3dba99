//! `TimerWheel`, for tests: the data plane makes its own through the C face.

use gateway_core::timer_wheel as core;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

#[pyclass(module = "gateway._core")]
pub struct TimerWheel {
    core: core::TimerWheel,
}

fn no_entry(handle: u32) -> PyErr {
    PyKeyError::new_err(format!("timer wheel: no entry has the handle {handle}"))
}

#[pymethods]
impl TimerWheel {
    #[new]
    fn new(now_ms: u64) -> Self {
        let core = core::TimerWheel::new(now_ms);
        Self { core }
    }

    fn insert(&mut self, due_ms: u64) -> u32 {
        self.core.insert(due_ms)
    }

    fn update(&mut self, handle: u32, due_ms: u64) -> PyResult<()> {
        let found = self.core.update(handle, due_ms);
        found.then_some(()).ok_or_else(|| no_entry(handle))
    }

    fn remove(&mut self, handle: u32) -> PyResult<()> {
        let found = self.core.remove(handle);
        found.then_some(()).ok_or_else(|| no_entry(handle))
    }

    #[pyo3(signature = (now_ms, capacity = 64))]
    fn advance(&mut self, now_ms: u64, capacity: usize) -> Vec<u32> {
        let mut due = vec![0; capacity];
        let fired = self.core.advance(now_ms, &mut due);
        due.truncate(fired);
        due
    }
}
