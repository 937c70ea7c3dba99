//! The route table: which route takes a request.
//!
//! Every route has a *rank*, its place in one total order that is known when the table is built:
//!
//! 1. higher priority;
//! 2. host: exact, then wildcard (longer suffix first), then any;
//! 3. path, segment by segment from the left: literal, then `{name}`, then `{name...}`;
//! 4. more predicates (the list of methods counts as one, each header and query predicate as one);
//! 5. earlier in the configuration.
//!
//! The route that matches and has the least rank wins. A route with several hosts has one entry,
//! and so one rank, for each of them.
//!
//! Cost: the hosts choose a few radix tries; a lookup visits each of their nodes at most once,
//! leaves out every subtree whose least rank cannot win, and allocates nothing. Routes that share
//! both host and path are tried one after the other, in the order of their ranks.

#![forbid(unsafe_code)]

mod build;
mod explain;
mod host;
mod method;
mod pattern;
mod predicate;
mod table;
mod trie;

pub use build::{BuildError, RouteSpec};
pub use explain::{Candidate, Verdict};
pub use host::canonical_host;
pub use predicate::{Predicate, Test};
pub use table::{Outcome, Request, RouteTable};

#[cfg(test)]
mod tests;
