//! What the worst path costs against the worst table: visits of nodes are counted, since a count
//! does not depend on the machine.

use super::super::trie::{Walk, NONE};
use super::*;

/// All paths of `depth` segments of which each is `a` or a parameter: every walk along `/a/a/a…`
/// has two ways to go on at each segment.
fn all_mixtures(depth: usize) -> RouteTable {
    let paths: Vec<String> = (0..1usize << depth)
        .map(|bits| {
            let segment = |at| match bits >> at & 1 {
                0 => "/a".to_owned(),
                _ => format!("/{{p{at}}}"),
            };
            (0..depth).map(segment).collect()
        })
        .collect();
    table(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

fn visits(table: &RouteTable, path: &str, accept: bool) -> usize {
    let mut walk = Walk::new(path.as_bytes());
    walk.through(&table.tries[0], &mut |_| accept);
    walk.visits
}

#[test]
fn a_walk_visits_each_node_at_most_once() {
    let table = all_mixtures(10);
    // Behind each branching: the literal `a`, the parameter, and the slash after either.
    let nodes = 4 << 10;
    for path in ["/a".repeat(10) + "/b", "/a".repeat(10), "/a".repeat(8192)] {
        assert!(path.len() <= 16 * 1024);
        let count = visits(&table, &path, false);
        assert!(count <= nodes, "{count} visits of {nodes} nodes");
    }
}

#[test]
fn a_found_route_ends_the_search_in_what_cannot_beat_it() {
    let count = visits(&all_mixtures(10), &"/a".repeat(10), true);
    assert!(count <= 2 * 10 + 1, "{count} visits");
}

#[test]
fn thousands_of_neighbours_cost_no_visits() {
    let paths: Vec<String> = (0..10_000).map(|n| format!("/s{n:05}/{{id}}")).collect();
    let crowd = table(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let count = visits(&crowd, "/s07777/1", true);
    assert!(count <= 10, "{count} visits");
}

#[test]
fn the_end_of_a_segment_is_looked_for_once() {
    // 1,024 parameters of this table stand at the last segment, which is 16 KiB long.
    let table = all_mixtures(11);
    let path = "/a".repeat(10) + "/" + &"x".repeat(16 * 1024) + "/b";
    let mut walk = Walk::new(path.as_bytes());
    walk.through(&table.tries[0], &mut |_| false);
    assert_eq!(walk.best, NONE);
    assert!(walk.visits > 1024);
    assert_eq!(walk.measured_segments, 11);
}
