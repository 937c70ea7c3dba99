//! Looking a request up.

use super::host::HostIndex;
use super::method::MethodNames;
use super::pattern::Pattern;
use super::predicate::Predicate;
use super::trie::{Trie, Walk, NONE};

/// What a lookup reads of a request. `fields` yields names and values of the header fields; it is
/// copied for every condition that has to be looked at.
#[derive(Clone, Debug)]
pub struct Request<'a, F> {
    pub method: &'a [u8],
    /// Canonical: see [`super::canonical_host`].
    pub host: &'a [u8],
    /// Canonical: see [`crate::path`].
    pub path: &'a [u8],
    /// Without its `?`.
    pub query: &'a [u8],
    pub fields: F,
}

/// What a lookup says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Position of the route in the list that the table was built from.
    Found(usize),
    NotFound,
    /// Some route takes this host and path, but not this method (RFC 9110 §15.5.6).
    MethodNotAllowed,
}

/// Why a route whose host and path match does not take a request.
#[derive(Clone, Copy, Debug)]
pub enum Mismatch<'t> {
    Method,
    Header(&'t Predicate),
    Query(&'t Predicate),
}

#[derive(Debug)]
pub struct Route {
    pub pattern: Pattern,
    pub headers: Vec<Predicate>,
    pub query: Vec<Predicate>,
}

/// A route on one of its hosts. Its rank is its place in [`RouteTable::entries`].
#[derive(Debug)]
pub struct Entry {
    pub route: usize,
    pub methods: u64,
    /// Whether the route has header or query predicates; spares a look at it.
    pub is_conditional: bool,
}

/// An immutable table of routes; see the module's head for its rules and its cost.
#[derive(Debug)]
pub struct RouteTable {
    pub(super) routes: Vec<Route>,
    pub(super) entries: Vec<Entry>,
    pub(super) hosts: HostIndex,
    pub(super) tries: Vec<Trie>,
    pub(super) methods: MethodNames,
}

impl RouteTable {
    /// The route that takes `request`.
    pub fn find<'a, F>(&self, request: &Request<'a, F>) -> Outcome
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let method = self.methods.bit(request.method);
        let mut method_differs = false;
        let best = self.walk(request.host, request.path, |rank| {
            match self.mismatch(rank, method, request) {
                None => true,
                Some(mismatch) => {
                    method_differs |= matches!(mismatch, Mismatch::Method);
                    false
                }
            }
        });
        match self.entries.get(best as usize) {
            Some(entry) => Outcome::Found(entry.route),
            None if method_differs => Outcome::MethodNotAllowed,
            None => Outcome::NotFound,
        }
    }

    /// The methods for the `Allow` field after [`Outcome::MethodNotAllowed`], in alphabetical
    /// order: those of all routes that take the host and the path, but not the method.
    pub fn allowed<'a, F>(&self, request: &Request<'a, F>) -> impl Iterator<Item = &str> {
        let method = self.methods.bit(request.method);
        let mut allowed = 0;
        self.walk(request.host, request.path, |rank| {
            let methods = self.entries[rank as usize].methods;
            if methods & method == 0 {
                allowed |= methods;
            }
            false
        });
        self.methods.names(allowed)
    }

    /// Number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Names and values of the parameters of route number `route`, which matches `path`.
    pub fn captures<'a>(
        &'a self,
        route: usize,
        path: &'a [u8],
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let route = self.routes.get(route);
        route
            .into_iter()
            .flat_map(move |route| route.pattern.captures(path))
    }

    /// Offers the rank of every route that takes host and path to `accept`, until one is accepted
    /// that no other can beat. Returns the best accepted rank or [`NONE`].
    pub(super) fn walk(
        &self,
        host: &[u8],
        path: &[u8],
        mut accept: impl FnMut(u32) -> bool,
    ) -> u32 {
        let mut walk = Walk::new(path);
        self.hosts
            .each(host, |trie| walk.through(&self.tries[trie], &mut accept));
        debug_assert!(walk.best == NONE || (walk.best as usize) < self.entries.len());
        walk.best
    }

    pub(super) fn mismatch<'a, F>(
        &self,
        rank: u32,
        method: u64,
        request: &Request<'a, F>,
    ) -> Option<Mismatch<'_>>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let entry = &self.entries[rank as usize];
        if entry.methods & method == 0 {
            return Some(Mismatch::Method);
        }
        if !entry.is_conditional {
            return None;
        }
        let route = &self.routes[entry.route];
        let fails_header = |p: &&Predicate| !p.holds_for_fields(request.fields.clone());
        let fails_query = |p: &&Predicate| !p.holds_for_query(request.query);
        let header = route.headers.iter().find(fails_header);
        header
            .map(Mismatch::Header)
            .or_else(|| route.query.iter().find(fails_query).map(Mismatch::Query))
    }
}
