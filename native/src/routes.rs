//! Binding of `gateway_core::routes`.

use std::collections::BTreeMap;

use gateway_core::routes::{self as core, canonical_host, Outcome, Predicate, RouteSpec, Test};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::path::encoded_slashes;

/// Which route takes a request.
#[pyclass(frozen, module = "gateway._core")]
pub struct RouteTable {
    /// Boxed, because Cython keeps its address.
    table: Box<core::RouteTable>,
}

/// What a lookup found.
#[pyclass(frozen, get_all, module = "gateway._core")]
pub struct Match {
    route: Option<usize>,
    params: BTreeMap<String, String>,
    allow: Vec<String>,
}

/// A route whose host and path match, and what became of it.
#[pyclass(frozen, get_all, module = "gateway._core")]
pub struct Candidate {
    route: usize,
    verdict: String,
}

/// Header fields as Python passes them.
type Fields = Vec<(String, String)>;

#[pymethods]
impl RouteTable {
    #[new]
    #[pyo3(signature = (routes, encoded_slashes = "reject"))]
    fn new(routes: Vec<Bound<'_, PyDict>>, encoded_slashes: &str) -> PyResult<Self> {
        let slashes = self::encoded_slashes(encoded_slashes)?;
        let specs = routes
            .iter()
            .enumerate()
            .map(|(index, route)| read_spec(index, route))
            .collect::<PyResult<Vec<_>>>()?;
        let table = core::RouteTable::build(&specs, slashes)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            table: Box::new(table),
        })
    }

    #[getter]
    fn address(&self) -> usize {
        std::ptr::from_ref(self.table.as_ref()) as usize
    }

    #[pyo3(name = "match", signature = (method, host, path, query = "", headers = Vec::new()))]
    fn find(&self, method: &str, host: &str, path: &str, query: &str, headers: Fields) -> Match {
        let host = canonical_host(host);
        let request = request(method, &host, path, query, &headers);
        let mut found = Match {
            route: None,
            params: BTreeMap::new(),
            allow: Vec::new(),
        };
        match self.table.find(&request) {
            Outcome::Found(route) => {
                found.route = Some(route);
                found.params = self.params(route, path);
            }
            Outcome::MethodNotAllowed => {
                found.allow = self.table.allowed(&request).map(str::to_owned).collect();
            }
            Outcome::NotFound => {}
        }
        found
    }

    #[pyo3(signature = (method, host, path, query = "", headers = Vec::new()))]
    fn explain(
        &self,
        method: &str,
        host: &str,
        path: &str,
        query: &str,
        headers: Fields,
    ) -> Vec<Candidate> {
        let host = canonical_host(host);
        let candidates = self
            .table
            .explain(&request(method, &host, path, query, &headers));
        let mut named = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            named.push(Candidate {
                route: candidate.route,
                verdict: candidate.verdict.to_string(),
            });
        }
        named
    }

    fn __repr__(&self) -> String {
        format!("<RouteTable [{} routes]>", self.table.len())
    }
}

impl RouteTable {
    fn params(&self, route: usize, path: &str) -> BTreeMap<String, String> {
        self.table
            .captures(route, path.as_bytes())
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect()
    }
}

#[pymethods]
impl Match {
    fn __repr__(&self) -> String {
        format!(
            "<Match [route: {:?}, params: {:?}, allow: {:?}]>",
            self.route, self.params, self.allow
        )
    }
}

#[pymethods]
impl Candidate {
    fn __repr__(&self) -> String {
        format!("<Candidate [route {}: {}]>", self.route, self.verdict)
    }
}

fn request<'a>(
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a Fields,
) -> core::Request<'a, impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone> {
    core::Request {
        method: method.as_bytes(),
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: query.as_bytes(),
        fields: headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    }
}

/// Reads a route of the Plan. What routing does not need (service, labels, limits) is left alone.
fn read_spec(index: usize, route: &Bound<'_, PyDict>) -> PyResult<RouteSpec> {
    let place = format!("routes[{index}]");
    Ok(RouteSpec {
        path: required(route, "path", &place)?,
        hosts: optional(route, "hosts", &place)?,
        methods: optional(route, "methods", &place)?,
        headers: read_predicates(route, "headers", &place)?,
        query: read_predicates(route, "query", &place)?,
        priority: optional(route, "priority", &place)?,
    })
}

fn read_predicates(route: &Bound<'_, PyDict>, key: &str, place: &str) -> PyResult<Vec<Predicate>> {
    let listed: Vec<Bound<'_, PyDict>> = optional(route, key, place)?;
    let read = |(index, predicate): (usize, &Bound<'_, PyDict>)| {
        let place = format!("{place}.{key}[{index}]");
        let op: String = required(predicate, "op", &place)?;
        let value: String = optional(predicate, "value", &place)?;
        let test = Test::from_op(&op, &value).ok_or_else(|| {
            PyValueError::new_err(format!(
                "{place}.op: '{op}' is unknown; write exact, prefix, present or absent"
            ))
        })?;
        let name = required(predicate, "name", &place)?;
        Ok(Predicate { name, test })
    };
    listed.iter().enumerate().map(read).collect()
}

fn required<'py, T: FromPyObjectOwned<'py>>(
    dict: &Bound<'py, PyDict>,
    key: &str,
    place: &str,
) -> PyResult<T> {
    lookup(dict, key, place)?
        .ok_or_else(|| PyValueError::new_err(format!("{place}.{key}: is missing; add it")))
}

/// The value under `key`; the type's default where it is missing or `None`.
fn optional<'py, T: FromPyObjectOwned<'py> + Default>(
    dict: &Bound<'py, PyDict>,
    key: &str,
    place: &str,
) -> PyResult<T> {
    Ok(lookup(dict, key, place)?.unwrap_or_default())
}

fn lookup<'py, T: FromPyObjectOwned<'py>>(
    dict: &Bound<'py, PyDict>,
    key: &str,
    place: &str,
) -> PyResult<Option<T>> {
    let Some(value) = dict.get_item(key)?.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let extracted = value.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        PyValueError::new_err(format!("{place}.{key}: {error}"))
    })?;
    Ok(Some(extracted))
}
