//! Invariant: whatever the table and the request are, nothing panics, and
//!
//! - a lookup finds exactly the route that `explain` says wins;
//! - without a winner it says "method not allowed" exactly if `explain` blames a method, and then
//!   `Allow` is not empty and does not hold the method of the request;
//! - the parameters of the winner are parts of the path.
//!
//! Input: lines. `METHOD HOST PATH QUERY` first, then one route per line as
//! `PATH [HOST [METHOD [PRIORITY [NAME]]]]`; `-` stands for an empty word. NAME is a header that must
//! be present and a query parameter that must be absent.

use gateway_core::path::EncodedSlashes;
use gateway_core::routes::{
    canonical_host, Outcome, Predicate, Request, RouteSpec, RouteTable, Test, Verdict,
};

/// See the invariant at the head of this file.
pub fn routes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines().map(words);
    let Some([method, host, path, query, _]) = lines.next() else {
        return;
    };
    let specs: Vec<RouteSpec> = lines.map(read_spec).filter(is_valid).collect();
    let Ok(table) = RouteTable::build(&specs, EncodedSlashes::Keep) else {
        return;
    };
    let host = canonical_host(host);
    let fields = [("x-method", method), ("X-Query", query)];
    let request = Request {
        method: method.as_bytes(),
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: query.as_bytes(),
        fields: fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    };
    check(&table, &request);
}

fn check<'a>(
    table: &RouteTable,
    request: &Request<'a, impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone>,
) {
    let candidates = table.explain(request);
    let winner = candidates.iter().find(|one| one.verdict == Verdict::Wins);
    let allowed: Vec<&str> = table.allowed(request).collect();
    let outcome = table.find(request);
    match (outcome, winner) {
        (Outcome::Found(route), Some(winner)) => {
            assert_eq!(route, winner.route, "explain names another winner");
            for (name, value) in table.captures(route, request.path) {
                assert!(!name.is_empty());
                assert!(request
                    .path
                    .windows(value.len().max(1))
                    .any(|w| value.is_empty() || w == value));
            }
        }
        (Outcome::MethodNotAllowed, None) => {
            assert!(!allowed.is_empty());
            assert!(allowed.iter().all(|name| name.as_bytes() != request.method));
        }
        (Outcome::NotFound, None) => {
            assert!(candidates.iter().all(|one| one.verdict != Verdict::Method));
        }
        _ => panic!("{outcome:?} and {candidates:?}"),
    }
}

/// The first five words of a line; missing ones are empty.
fn words(line: &str) -> [&str; 5] {
    let mut words = line
        .split(' ')
        .map(|word| if word == "-" { "" } else { word });
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

fn read_spec([path, host, method, priority, name]: [&str; 5]) -> RouteSpec {
    let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    let predicate = |test| some(name).map(|name| Predicate { name, test });
    RouteSpec {
        path: path.to_owned(),
        hosts: some(host).into_iter().collect(),
        methods: some(method).into_iter().collect(),
        headers: predicate(Test::Present).into_iter().collect(),
        query: predicate(Test::Absent).into_iter().collect(),
        priority: priority.parse().unwrap_or_default(),
    }
}

/// Drops single routes that are refused, so that one of them does not end the run.
fn is_valid(spec: &RouteSpec) -> bool {
    RouteTable::build(std::slice::from_ref(spec), EncodedSlashes::Keep).is_ok()
}
