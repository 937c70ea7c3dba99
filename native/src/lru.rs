//! `Lru`, for tests: the data plane makes its own through the C face.

use gateway_core::keyed_hash::HashKey;
use gateway_core::lru as core;
use pyo3::prelude::*;

#[pyclass(module = "gateway._core")]
pub struct Lru {
    core: core::Lru,
}

#[pymethods]
impl Lru {
    #[new]
    fn new(max_entries: u32, max_bytes: usize) -> Self {
        let core = core::Lru::new(HashKey([0, 0]), max_entries, max_bytes);
        Self { core }
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    fn find(&mut self, data: &[u8]) -> Option<u32> {
        self.core.find(data)
    }

    fn evict_for(&mut self, length: usize) -> Option<u32> {
        self.core.evict_for(length)
    }

    fn insert(&mut self, data: &[u8]) -> Option<u32> {
        self.core.insert(data)
    }
}
