//! Cost of a lookup and of path normalisation: `cargo bench -p gateway-core`.
//!
//! Each line is the least of many rounds (noise only adds). What counts is the ratio between 10 and
//! 10,000 routes of one kind, and that hostile paths stay in proportion to their length.

use std::hint::black_box;
use std::time::Instant;

use gateway_core::path::{normalize_into, EncodedSlashes};
use gateway_core::routes::{Request, RouteSpec, RouteTable};

const ROUNDS: usize = 50;
const CALLS_PER_ROUND: u32 = 2_000;

fn measure(name: &str, calls: u32, mut call: impl FnMut()) {
    let mut least_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        least_ns = least_ns.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    println!("{name:<44} {least_ns:>12.1} ns");
}

fn table(paths: impl Iterator<Item = String>) -> RouteTable {
    let specs: Vec<RouteSpec> = paths
        .map(|path| RouteSpec {
            path,
            methods: vec!["GET".to_owned()],
            ..RouteSpec::default()
        })
        .collect();
    RouteTable::build(&specs, EncodedSlashes::Reject).expect("the patterns are valid")
}

fn find(table: &RouteTable, path: &str) {
    let fields: [(&[u8], &[u8]); 0] = [];
    let request = Request {
        method: b"GET",
        host: b"api.example.com",
        path: black_box(path).as_bytes(),
        query: b"",
        fields: fields.into_iter(),
    };
    black_box(table.find(&request));
}

fn routes() {
    // The numbers are as wide in the small table as in the large one, so that both compare the
    // same number of bytes.
    for (kind, tail, request) in [
        ("literal", "/users/list", "/users/list"),
        ("param", "/users/{id}/orders", "/users/123456/orders"),
        ("rest", "/{path...}", "/users/123456/orders"),
    ] {
        for size in [10, 10_000] {
            let table = table((0..size).map(|n| format!("/service-{n:05}{tail}")));
            let path = format!("/service-{:05}{request}", size * 7 / 10);
            let name = format!("{kind}, {size} routes");
            measure(&name, CALLS_PER_ROUND, || find(&table, &path));
        }
    }
}

fn hostile() {
    let mixture = |bits: usize| -> String {
        let segment = |at: usize| match bits >> at & 1 {
            0 => "/a".to_owned(),
            _ => format!("/{{p{at}}}"),
        };
        (0..10).map(segment).collect()
    };
    let table = table((0..1 << 10).map(mixture));
    measure("hostile: 1,024 mixtures, wins", 200, || {
        find(&table, &"/a".repeat(10));
    });
    let miss = "/a".repeat(10) + "/b";
    measure("hostile: 1,024 mixtures, no match", 20, || {
        find(&table, &miss);
    });
    let long = "/a".repeat(8192);
    measure("hostile: 1,024 mixtures, 16 KiB of /a", 20, || {
        find(&table, &long);
    });
}

fn paths() {
    let mut out = vec![0; 3 * 16 * 1024];
    for (name, path, calls) in [
        (
            "path: plain, 30 bytes",
            "/identity/users/123456/orders/".to_owned(),
            CALLS_PER_ROUND,
        ),
        (
            "path: one escape, 30 bytes",
            "/identity/users/12%2056/orders".to_owned(),
            CALLS_PER_ROUND,
        ),
        ("path: plain, 16 KiB", "/a".repeat(8192), 20),
        ("path: 16 KiB of dot segments", "/a/..".repeat(3276), 20),
    ] {
        measure(name, calls, || {
            let path = black_box(path.as_bytes());
            let length = normalize_into(path, EncodedSlashes::Reject, &mut out);
            black_box(length.expect("the path is good"));
        });
    }
}

fn main() {
    routes();
    hostile();
    paths();
}
