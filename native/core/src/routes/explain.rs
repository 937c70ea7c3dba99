//! Why a request goes where it goes: all routes on its host and path, with a verdict each.

use std::collections::HashSet;
use std::fmt;

use super::table::{Mismatch, Request, RouteTable};

/// A route whose host and path match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position of the route in the list that the table was built from.
    pub route: usize,
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wins,
    /// It would take the request, but a route of lesser rank does.
    Shadowed,
    Method,
    /// Name of the first header predicate that does not hold.
    Header(String),
    /// Name of the first query predicate that does not hold.
    Query(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wins => formatter.write_str("wins"),
            Self::Shadowed => formatter.write_str("shadowed"),
            Self::Method => formatter.write_str("method"),
            Self::Header(name) => write!(formatter, "header {name}"),
            Self::Query(name) => write!(formatter, "query {name}"),
        }
    }
}

impl RouteTable {
    /// Every route whose host and path match, best first. A route that matches by several of its
    /// hosts is named once, with its best rank.
    pub fn explain<'a, F>(&self, request: &Request<'a, F>) -> Vec<Candidate>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let mut ranks = Vec::new();
        self.walk(request.host, request.path, |rank| {
            ranks.push(rank);
            false
        });
        ranks.sort_unstable();
        let mut seen = HashSet::new();
        ranks.retain(|&rank| seen.insert(self.entries[rank as usize].route));

        let method = self.methods.bit(request.method);
        let mut free = Verdict::Wins;
        let judge = |rank| {
            let verdict = match self.mismatch(rank, method, request) {
                Some(Mismatch::Method) => Verdict::Method,
                Some(Mismatch::Header(predicate)) => Verdict::Header(predicate.name.clone()),
                Some(Mismatch::Query(predicate)) => Verdict::Query(predicate.name.clone()),
                None => std::mem::replace(&mut free, Verdict::Shadowed),
            };
            let route = self.entries[rank as usize].route;
            Candidate { route, verdict }
        };
        ranks.into_iter().map(judge).collect()
    }
}
