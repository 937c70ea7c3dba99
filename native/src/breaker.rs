//! `Breaker`: a service's circuit breaker, over its place in the segment.

use gateway_core::breaker::{self as core, Admission, Outcome, Settings, State};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::segment::Segment;

#[pyclass(frozen, module = "gateway._core")]
pub struct Breaker {
    core: core::Breaker<'static>,
    /// Keeps the memory mapped that the breaker lies in.
    _segment: Py<Segment>,
}

pub fn state_name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
    }
}

fn outcome(name: &str) -> PyResult<Outcome> {
    match name {
        "success" => Ok(Outcome::Success),
        "failure" => Ok(Outcome::Failure),
        "abandoned" => Ok(Outcome::Abandoned),
        _ => Err(PyValueError::new_err(format!(
            "breaker: no outcome {name:?}; use success, failure or abandoned"
        ))),
    }
}

#[pymethods]
impl Breaker {
    #[new]
    #[pyo3(signature = (segment, label, *, window_ms, min_requests, failure_permille, open_for_ms,
                        open_max_ms, probes))]
    #[allow(clippy::too_many_arguments)] // keywords, all of them
    fn new(
        segment: &Bound<'_, Segment>,
        label: u32,
        window_ms: u64,
        min_requests: u32,
        failure_permille: u32,
        open_for_ms: u64,
        open_max_ms: u64,
        probes: u32,
    ) -> Self {
        let settings = Settings {
            window_ms,
            min_requests,
            failure_permille,
            open_for_ms,
            open_max_ms,
            probes,
        };
        Self {
            core: core::Breaker::new(segment.get().core().breaker(label), settings),
            _segment: segment.clone().unbind(),
        }
    }

    /// Ticket and the state that was entered with it; or None and ms to wait.
    fn admit(&self, now_ms: u64) -> (Option<u32>, Option<&'static str>, u64) {
        match self.core.admit(now_ms) {
            Admission::Admitted { ticket, entered } => (Some(ticket), entered.map(state_name), 0),
            Admission::Refused { retry_after_ms } => (None, None, retry_after_ms),
        }
    }

    fn report(
        &self,
        ticket: u32,
        outcome_name: &str,
        now_ms: u64,
        random: u64,
    ) -> PyResult<Option<&'static str>> {
        let entered = self
            .core
            .report(ticket, outcome(outcome_name)?, now_ms, random);
        Ok(entered.map(state_name))
    }

    #[getter]
    fn state(&self) -> &'static str {
        state_name(self.core.cell().state())
    }

    /// A Python object does not move, and a frozen one is not replaced.
    #[getter]
    fn address(&self) -> usize {
        (&raw const self.core).addr()
    }
}
