//! `EndpointSet`: the endpoints of one service, for the Plan that holds them.

use gateway_core::endpoint::Ejection;
use gateway_core::endpoint_set::{self as core, Endpoint, EndpointSetError, Settings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::segment::{to_python, Segment};

#[pyclass(frozen, module = "gateway._core")]
pub struct EndpointSet {
    core: core::EndpointSet,
    /// Keeps the memory mapped that the endpoints' states lie in.
    _segment: Py<Segment>,
}

/// Place, weight, URL, priority and zone.
type Listed = (u32, u32, String, u32, Option<String>);

/// `outlier` of the Plan; durations in ms, shares in permille and percent.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Outlier {
    consecutive_failures: u32,
    failure_permille: u32,
    latency_percent: u32,
    latency_floor_us: u64,
    min_requests: u32,
    window_ms: u64,
    eject_for_ms: u64,
    eject_max_ms: u64,
    max_ejected_percent: u32,
}

#[pymethods]
impl EndpointSet {
    #[new]
    #[pyo3(signature = (segment, slot, label, kind, endpoints, *, seed, now_ms, max_load_percent=0,
                        slow_start_ms=0, outlier=None, panic_percent=50, checked=false, zone=None))]
    #[allow(clippy::too_many_arguments)] // keywords, most of them
    fn new(
        segment: &Bound<'_, Segment>,
        slot: usize,
        label: u32,
        kind: &str,
        endpoints: Vec<Listed>,
        seed: u64,
        now_ms: u64,
        max_load_percent: u32,
        slow_start_ms: u64,
        outlier: Option<Outlier>,
        panic_percent: u32,
        checked: bool,
        zone: Option<String>,
    ) -> PyResult<Self> {
        let endpoints: Vec<Endpoint> = endpoints
            .into_iter()
            .map(|(place, weight, url, priority, zone)| Endpoint {
                place,
                weight,
                url,
                priority,
                zone,
            })
            .collect();
        let max_ejected_percent = outlier
            .as_ref()
            .map_or(0, |rules| rules.max_ejected_percent);
        let settings = Settings {
            kind: kind
                .parse()
                .map_err(|error| refused(EndpointSetError::Balancer(error)))?,
            max_load_percent,
            label,
            slow_start_ms,
            ejection: outlier.map(Ejection::from).unwrap_or_default(),
            max_ejected_percent,
            panic_percent,
            checked,
            zone,
        };
        let core = segment.get().core();
        core::EndpointSet::new(core, slot, settings, &endpoints, seed, now_ms)
            .map(|core| Self {
                core,
                _segment: segment.clone().unbind(),
            })
            .map_err(refused)
    }

    #[pyo3(signature = (now_ms, random, hash=0, tried=None))]
    fn pick(&self, now_ms: u64, random: u64, hash: u64, tried: Option<Vec<u32>>) -> Option<usize> {
        let tried = tried.unwrap_or_default();
        self.core.pick(now_ms, random, hash, &tried)
    }

    fn find(&self, now_ms: u64, key: u64) -> Option<usize> {
        self.core.find(now_ms, key)
    }

    fn key(&self, index: usize) -> u64 {
        self.core.key(index)
    }

    fn begin(&self, index: usize) {
        self.core.begin(index);
    }

    fn end(&self, index: usize) {
        self.core.end(index);
    }

    fn report(&self, index: usize, failed: bool, latency_us: u64, now_ms: u64) -> bool {
        self.core.report(index, failed, latency_us, now_ms)
    }

    fn outrun(&self, index: usize, latency_us: u64, now_ms: u64) {
        self.core.outrun(index, latency_us, now_ms);
    }

    fn refresh(&self, now_ms: u64) -> Option<usize> {
        self.core.refresh(now_ms)
    }

    #[getter]
    fn is_counted(&self) -> bool {
        self.core.is_counted()
    }

    /// A Python object does not move, and a frozen one is not replaced.
    #[getter]
    fn address(&self) -> usize {
        (&raw const self.core).addr()
    }
}

impl From<Outlier> for Ejection {
    fn from(outlier: Outlier) -> Self {
        Self {
            consecutive_failures: outlier.consecutive_failures,
            failure_permille: outlier.failure_permille,
            latency_percent: outlier.latency_percent,
            latency_floor_us: outlier.latency_floor_us,
            min_requests: outlier.min_requests,
            window_ms: outlier.window_ms,
            eject_for_ms: outlier.eject_for_ms,
            eject_max_ms: outlier.eject_max_ms,
        }
    }
}

fn refused(error: EndpointSetError) -> PyErr {
    match error {
        EndpointSetError::Balancer(error) => PyValueError::new_err(error.to_string()),
        EndpointSetError::Segment(error) => to_python(error),
    }
}
