//! From the configuration's routes to a table: check, rank, lay out.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use super::host::{HostIndex, HostPattern};
use super::method::{self, MethodNames};
use super::pattern::{Kind, Pattern};
use super::predicate::Predicate;
use super::table::{Entry, Route, RouteTable};
use super::trie::Trie;
use crate::path::EncodedSlashes;

/// A route as the configuration describes it.
#[derive(Clone, Debug, Default)]
pub struct RouteSpec {
    pub path: String,
    /// Names or `*.suffix`; none = any host.
    pub hosts: Vec<String>,
    /// None = any method.
    pub methods: Vec<String>,
    pub headers: Vec<Predicate>,
    pub query: Vec<Predicate>,
    pub priority: i64,
}

/// What is wrong with a route, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// Place in the list of routes, such as `routes[3].path`.
    pub place: String,
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for BuildError {}

/// A route on one of its hosts, before it has a rank.
struct Contender<'s> {
    route: usize,
    host: &'s HostPattern,
    spec: &'s RouteSpec,
    shape: &'s [Kind],
}

impl Contender<'_> {
    /// The total order of the module's head: the least key has the least rank.
    fn key(&self) -> impl Ord + '_ {
        let listed = usize::from(!self.spec.methods.is_empty());
        let predicates = listed + self.spec.headers.len() + self.spec.query.len();
        (
            Reverse(self.spec.priority),
            self.host.specificity(),
            self.shape,
            Reverse(predicates),
            self.route,
        )
    }
}

impl RouteTable {
    /// Builds the table; the first mistake in `specs` is the error.
    pub fn build(specs: &[RouteSpec], slashes: EncodedSlashes) -> Result<Self, BuildError> {
        let mut routes = Vec::with_capacity(specs.len());
        let mut hosts = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let located = |(field, message): (String, String)| BuildError {
                place: format!("routes[{index}].{field}"),
                message,
            };
            routes.push(read_route(spec, slashes).map_err(located)?);
            hosts.push(read_hosts(spec).map_err(located)?);
        }
        let listed = specs.iter().flat_map(|spec| &spec.methods);
        let methods = MethodNames::collect(listed).map_err(|message| BuildError {
            place: "routes".to_owned(),
            message,
        })?;
        let contenders = rank(specs, &hosts, &routes);
        let (hosts, tries) = lay_out(&contenders, &routes);
        let entries = contenders
            .iter()
            .map(|contender| Entry {
                route: contender.route,
                methods: methods.set(&contender.spec.methods),
                is_conditional: !contender.spec.headers.is_empty()
                    || !contender.spec.query.is_empty(),
            })
            .collect();
        Ok(Self {
            routes,
            entries,
            hosts,
            tries,
            methods,
        })
    }
}

/// One contender for each host of each route, the best first.
fn rank<'s>(
    specs: &'s [RouteSpec],
    hosts: &'s [BTreeSet<HostPattern>],
    routes: &'s [Route],
) -> Vec<Contender<'s>> {
    let mut contenders: Vec<Contender> = specs
        .iter()
        .enumerate()
        .flat_map(|(route, spec)| {
            hosts[route].iter().map(move |host| Contender {
                route,
                host,
                spec,
                shape: &routes[route].pattern.shape,
            })
        })
        .collect();
    contenders.sort_by(|left, right| left.key().cmp(&right.key()));
    contenders
}

/// One trie for each host that occurs.
fn lay_out(contenders: &[Contender], routes: &[Route]) -> (HostIndex, Vec<Trie>) {
    let mut hosts = HostIndex::default();
    let mut patterns_by_trie: Vec<Vec<(u32, &Pattern)>> = Vec::new();
    for (rank, contender) in (0..).zip(contenders) {
        let trie = hosts.insert(contender.host, patterns_by_trie.len());
        if trie == patterns_by_trie.len() {
            patterns_by_trie.push(Vec::new());
        }
        patterns_by_trie[trie].push((rank, &routes[contender.route].pattern));
    }
    let tries = patterns_by_trie
        .into_iter()
        .map(|patterns| Trie::build(patterns.into_iter()))
        .collect();
    (hosts, tries)
}

/// The error is the field's name and what is wrong with it.
fn read_route(spec: &RouteSpec, slashes: EncodedSlashes) -> Result<Route, (String, String)> {
    let pattern = Pattern::parse(&spec.path, slashes).map_err(|error| ("path".into(), error))?;
    for (index, name) in spec.methods.iter().enumerate() {
        if !method::is_token(name) {
            let message = format!("'{name}' is not a method (RFC 9110 §9.1); write it as in GET");
            return Err((format!("methods[{index}]"), message));
        }
    }
    for (index, header) in spec.headers.iter().enumerate() {
        if !method::is_token(&header.name) {
            let message = format!(
                "'{}' is not a header name (RFC 9110 §5.1); write it as in X-Canary",
                header.name
            );
            return Err((format!("headers[{index}].name"), message));
        }
    }
    Ok(Route {
        pattern,
        headers: spec.headers.clone(),
        query: spec.query.clone(),
    })
}

/// The hosts of a route, each once; a route without hosts is on any.
fn read_hosts(spec: &RouteSpec) -> Result<BTreeSet<HostPattern>, (String, String)> {
    if spec.hosts.is_empty() {
        return Ok(BTreeSet::from([HostPattern::Any]));
    }
    let parse = |(index, host): (usize, &String)| {
        HostPattern::parse(host).map_err(|message| (format!("hosts[{index}]"), message))
    };
    spec.hosts.iter().enumerate().map(parse).collect()
}
