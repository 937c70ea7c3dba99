//! `Segment`: the shared memory of counters, over a buffer that Python owns.

use gateway_core::endpoint::Health;
use gateway_core::limiter::DEFAULT_CELLS;
use gateway_core::metrics::{
    self, Kind, Metric, BUCKET_BOUNDS_NS, LIMIT, METHODS, SERVICE, WORKER,
};
use gateway_core::segment::{
    self as core, Region, RevocationKind, SegmentError, Series, SeriesKey, Snapshot,
};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::breaker::state_name;

#[pyclass(frozen, module = "gateway._core")]
pub struct Segment {
    pub(crate) core: core::Segment,
    /// Holds the buffer's export: an mmap cannot be closed while one is open.
    _export: PyBuffer<u8>,
}

pub fn to_python(error: SegmentError) -> PyErr {
    let text = error.to_string();
    match error {
        SegmentError::NoSuchSlot { .. } => PyIndexError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

fn row(table: &[Metric], counter: &str) -> PyResult<usize> {
    metrics::index(table, counter).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|metric| metric.name).collect();
        PyValueError::new_err(format!(
            "segment: no counter {counter:?}; use one of {}",
            names.join(", ")
        ))
    })
}

fn revocation_kind(name: &str) -> PyResult<RevocationKind> {
    let mut kinds = RevocationKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == name).ok_or_else(|| {
        let names = RevocationKind::ALL.map(RevocationKind::name).join(", ");
        PyValueError::new_err(format!("segment: no kind {name:?}; use one of {names}"))
    })
}

/// 128 bits from the operating system: the standard library's tables take theirs in the same way.
fn secret() -> [u64; 2] {
    let word = || RandomState::new().build_hasher().finish();
    [word(), word()]
}

#[pymethods]
impl Segment {
    #[new]
    #[pyo3(signature = (buffer, workers, create, cells = DEFAULT_CELLS))]
    fn new(
        buffer: &Bound<'_, PyAny>,
        workers: usize,
        create: bool,
        cells: usize,
    ) -> PyResult<Self> {
        let export = PyBuffer::<u8>::get(buffer)?;
        if export.readonly() || !export.is_c_contiguous() {
            return Err(PyValueError::new_err(
                "segment: the buffer is read-only or not contiguous; use a writable, shared mmap",
            ));
        }
        let (base, length) = (export.buf_ptr().cast::<u8>(), export.len_bytes());
        // SAFETY: the export keeps the memory mapped for as long as this object lives; a pointer
        // given out by `worker_address` must not outlive it. The structures are atomics, valid for
        // any content. Python code could write to the mmap as well; only the owner of the buffer,
        // the supervisor, has it, and does not.
        let core = unsafe {
            if create {
                core::Segment::create(base, length, workers, cells, secret())
            } else {
                core::Segment::attach(base, length, workers)
            }
        };
        let core = core.map_err(to_python)?;
        Ok(Self {
            core,
            _export: export,
        })
    }

    #[staticmethod]
    #[pyo3(signature = (workers, cells = DEFAULT_CELLS))]
    fn size_for(workers: usize, cells: usize) -> PyResult<usize> {
        match workers {
            1..=core::MAX_WORKERS => Ok(core::Segment::size_for(workers, cells)),
            _ => Err(to_python(SegmentError::Workers(workers))),
        }
    }

    /// A Python object does not move, and a frozen one is not replaced.
    #[getter]
    fn address(&self) -> usize {
        (&raw const self.core).addr()
    }

    fn hash(&self, data: &[u8]) -> u64 {
        self.core.hash_key().hash(data)
    }

    fn revoke(
        &self,
        kind: &str,
        name: &str,
        before_s: u64,
        until_s: u64,
        now_s: u64,
    ) -> PyResult<()> {
        let (kind, hash) = (revocation_kind(kind)?, self.hash(name.as_bytes()));
        let revocations = self.core.revocations();
        revocations.revoke(kind, hash, before_s, until_s, now_s);
        Ok(())
    }

    fn is_revoked(&self, kind: &str, name: &str, issued_s: u64) -> PyResult<bool> {
        let (kind, hash) = (revocation_kind(kind)?, self.hash(name.as_bytes()));
        Ok(self.core.revocations().is_revoked(kind, hash, issued_s))
    }

    #[getter]
    fn revocations_spilled(&self) -> u64 {
        self.core.revocations().spilled()
    }

    fn worker_address(&self, slot: usize) -> PyResult<usize> {
        let region: *const Region = self.region(slot)?;
        Ok(region.addr())
    }

    fn intern(&self, text: &str) -> u32 {
        self.core.intern(text)
    }

    fn label(&self, id: u32) -> String {
        self.core.label(id)
    }

    fn place(&self, name: &str, now_ms: u64) -> u32 {
        self.core.place(name, now_ms)
    }

    fn sweep(&self, wanted: Vec<u32>, now_ms: u64, grace_ms: u64) -> usize {
        self.core.sweep(&wanted, now_ms, grace_ms)
    }

    fn beat(&self, slot: usize, now_ms: u64) -> PyResult<()> {
        self.region(slot)?.beat(now_ms);
        Ok(())
    }

    fn last_beat(&self, slot: usize) -> PyResult<u64> {
        Ok(self.region(slot)?.last_beat())
    }

    fn add(&self, slot: usize, counter: &str, delta: i64) -> PyResult<()> {
        self.region(slot)?.add_shared(row(&WORKER, counter)?, delta);
        Ok(())
    }

    fn set(&self, slot: usize, gauge: &str, value: u64) -> PyResult<()> {
        self.region(slot)?.set(row(&WORKER, gauge)?, value);
        Ok(())
    }

    fn service_add(&self, slot: usize, service: u32, counter: &str, delta: i64) -> PyResult<()> {
        let row = row(&SERVICE, counter)?;
        self.region(slot)?.service_add(service, row, delta);
        Ok(())
    }

    fn limit_add(
        &self,
        slot: usize,
        policy: u32,
        route: u32,
        counter: &str,
        delta: i64,
    ) -> PyResult<()> {
        let row = row(&LIMIT, counter)?;
        self.region(slot)?.limit_add(policy, route, row, delta);
        Ok(())
    }

    /// Whether the worker in `slot` may begin one more of `key`.
    fn enter(&self, key: u64, slot: usize, limit: u64, now_ns: u64) -> bool {
        let now = now_ns / gateway_core::limiter::TICK_NS;
        self.core.under_way().enter(key, slot, limit, now)
    }

    fn leave(&self, key: u64, slot: usize, now_ns: u64) {
        let now = now_ns / gateway_core::limiter::TICK_NS;
        self.core.under_way().leave(key, slot, now);
    }

    fn observe(
        &self,
        slot: usize,
        route: u32,
        service: u32,
        method: &str,
        status: u32,
        duration_ns: u64,
    ) -> PyResult<()> {
        let known = METHODS.iter().position(|name| *name == method);
        let method = known.unwrap_or(METHODS.len() - 1) as u32;
        let key = SeriesKey {
            route,
            service,
            method,
            status,
        };
        self.region(slot)?.observe(key, duration_ns);
        Ok(())
    }

    fn reset_gauges(&self, slot: usize) -> PyResult<()> {
        self.region(slot)?.reset_gauges();
        Ok(())
    }

    fn set_health(&self, endpoint: u32, health: &str, now_ms: u64) -> PyResult<()> {
        let known = Health::ALL.into_iter().find(|known| known.name() == health);
        let health = known.ok_or_else(|| {
            let names = Health::ALL.map(Health::name).join(", ");
            PyValueError::new_err(format!("segment: no health {health:?}; use one of {names}"))
        })?;
        if endpoint != core::OTHER {
            self.core.endpoint(endpoint).set_health(health, now_ms);
        }
        Ok(())
    }

    fn endpoint<'py>(
        &self,
        py: Python<'py>,
        endpoint: u32,
        now_ms: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let cell = self.core.endpoint(endpoint);
        let left_ms = cell.ejected_until_ms().saturating_sub(now_ms);
        let state = PyDict::new(py);
        state.set_item("health", cell.health().name())?;
        state.set_item("ejected_for_ms", left_ms)?;
        state.set_item("in_flight", self.core.in_flight(endpoint))?;
        state.set_item("latency_us", cell.latency_us(now_ms))?;
        Ok(state)
    }

    fn share(&self, part: u32) -> Option<u32> {
        self.core.upstreams().share(part)
    }

    fn set_share(&self, part: u32, permille: Option<u32>) -> PyResult<()> {
        if permille > Some(1000) {
            return Err(PyValueError::new_err(
                "segment: a share is at most 1000 permille",
            ));
        }
        self.core.upstreams().set_share(part, permille);
        Ok(())
    }

    /// Whether it was closed, and is open now.
    fn open_breaker(&self, service: u32, until_ms: u64) -> bool {
        self.core.breaker(service).open_until(until_ms)
    }

    fn breaker(&self, service: u32) -> (&'static str, u64) {
        let cell = self.core.breaker(service);
        (state_name(cell.state()), cell.open_until_ms())
    }

    fn collect<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.snapshot(py, &self.core.collect())
    }
}

impl Segment {
    pub fn core(&self) -> &core::Segment {
        &self.core
    }

    fn region(&self, slot: usize) -> PyResult<&Region> {
        self.core.region(slot).map_err(to_python)
    }

    fn snapshot<'py>(&self, py: Python<'py>, from: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
        let services = PyDict::new(py);
        for (label, values) in &from.services {
            services.set_item(self.label(*label), by_name(py, &SERVICE, values)?)?;
        }
        let limits = PyDict::new(py);
        for ((policy, route), values) in &from.limits {
            let labels = (self.label(*policy), self.label(*route));
            limits.set_item(labels, by_name(py, &LIMIT, values)?)?;
        }
        let series: PyResult<Vec<_>> = from
            .series
            .iter()
            .map(|(key, series)| self.series(py, *key, series))
            .collect();
        let snapshot = PyDict::new(py);
        snapshot.set_item("counters", by_name(py, &WORKER, &from.counters)?)?;
        snapshot.set_item("services", services)?;
        snapshot.set_item("limits", limits)?;
        snapshot.set_item("limit_evictions", from.limit_evictions)?;
        snapshot.set_item("series", series?)?;
        snapshot.set_item("heartbeats", &from.heartbeats)?;
        snapshot.set_item("labels_dropped", from.labels_dropped)?;
        let (used, dropped) = self.core.places();
        snapshot.set_item("places_used", used)?;
        snapshot.set_item("places_dropped", dropped)?;
        Ok(snapshot)
    }

    fn series<'py>(
        &self,
        py: Python<'py>,
        key: SeriesKey,
        from: &Series,
    ) -> PyResult<Bound<'py, PyDict>> {
        let method = METHODS.get(key.method as usize).unwrap_or(&"other");
        let series = PyDict::new(py);
        series.set_item("route", self.label(key.route))?;
        series.set_item("service", self.label(key.service))?;
        series.set_item("method", method)?;
        series.set_item("status", key.status)?;
        series.set_item("count", from.count())?;
        series.set_item("sum_seconds", from.sum_ns as f64 / 1e9)?;
        series.set_item("buckets", from.buckets)?;
        Ok(series)
    }
}

fn by_name<'py>(py: Python<'py>, table: &[Metric], values: &[i64]) -> PyResult<Bound<'py, PyDict>> {
    let named = PyDict::new(py);
    for (metric, value) in table.iter().zip(values) {
        named.set_item(metric.name, value)?;
    }
    Ok(named)
}

/// The tables that the renderer of the metrics and the check of the C face read.
pub fn add_tables(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let rows = |table: &[Metric]| {
        let kind = |metric: &Metric| match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let row = |metric: &Metric| (metric.name, kind(metric), metric.help);
        PyTuple::new(py, table.iter().map(row))
    };
    module.add("WORKER_METRICS", rows(&WORKER)?)?;
    module.add("SERVICE_METRICS", rows(&SERVICE)?)?;
    module.add("LIMIT_METRICS", rows(&LIMIT)?)?;
    module.add("METHODS", PyTuple::new(py, METHODS)?)?;
    let seconds = BUCKET_BOUNDS_NS.map(|bound| bound as f64 / 1e9);
    module.add("DURATION_BUCKETS", PyTuple::new(py, seconds)?)?;
    module.add("MAX_LABELS", core::MAX_LABELS)?;
    module.add("MAX_PLACES", core::MAX_PLACES)?;
    module.add("SERIES_LIMIT", core::SERIES_LIMIT)?;
    module.add("SERVICES_LIMIT", core::SERVICES_LIMIT)
}
