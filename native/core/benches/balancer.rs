//! `cargo bench --bench balancer`: one choice, over a segment as a worker has it.

mod measure;

use gateway_core::balancer::Kind;
use gateway_core::breaker::{Admission, Breaker, Outcome, Settings as BreakerSettings};
use gateway_core::endpoint::Ejection;
use gateway_core::endpoint_set::{Endpoint, EndpointSet, Settings};
use gateway_core::limiter::DEFAULT_CELLS;
use gateway_core::segment::Segment;
use measure::measure;
use std::alloc::{alloc_zeroed, Layout};
use std::hint::black_box;

const WORKERS: usize = 2;
const RULES: BreakerSettings = BreakerSettings {
    window_ms: 10_000,
    min_requests: 20,
    failure_permille: 500,
    open_for_ms: 5000,
    open_max_ms: 60_000,
    probes: 3,
};

fn endpoint_set(
    segment: &Segment,
    kind: Kind,
    count: u32,
    checked: bool,
    zoned: bool,
) -> EndpointSet {
    let endpoints: Vec<Endpoint> = (1..=count)
        .map(|place| Endpoint {
            place,
            weight: place,
            url: format!("http://10.0.0.{place}"),
            priority: 0,
            zone: zoned.then(|| if place % 3 == 0 { "near" } else { "far" }.to_owned()),
        })
        .collect();
    let settings = Settings {
        kind,
        max_load_percent: 0,
        label: 5000,
        slow_start_ms: 0,
        ejection: Ejection::default(),
        max_ejected_percent: 50,
        panic_percent: 50,
        checked,
        zone: zoned.then(|| "near".to_owned()),
    };
    EndpointSet::new(segment, 0, settings, &endpoints, 0, 1).expect("valid settings")
}

fn main() {
    let layout = Layout::from_size_align(Segment::size_for(WORKERS, DEFAULT_CELLS), 4096)
        .expect("a sane size");
    // SAFETY: the size is not zero; zeroed memory of this size, never freed.
    let segment = unsafe {
        Segment::create(
            alloc_zeroed(layout),
            layout.size(),
            WORKERS,
            DEFAULT_CELLS,
            [1, 2],
        )
    };
    let segment = segment.expect("fresh memory");
    let breaker = Breaker::new(segment.breaker(5000), RULES);
    for kind in Kind::ALL {
        for count in [3, 100, 1000] {
            for (checked, zoned) in [(false, false), (true, false), (true, true)] {
                let set = endpoint_set(&segment, kind, count, checked, zoned);
                let with = match (checked, zoned) {
                    (false, _) => "",
                    (true, false) => ", breaker and health",
                    (true, true) => ", breaker, health and zones",
                };
                let name = format!("{} of {count}{with}", kind.name());
                measure(&name, |call| {
                    let random = call.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    if checked {
                        black_box(breaker.admit(black_box(1000)));
                    }
                    black_box(set.pick(black_box(1000), black_box(random), random, &[]));
                });
            }
        }
    }
    measure("breaker: admit and report a success", |call| {
        let now_ms = 1000 + call / 1000;
        if let Admission::Admitted { ticket, .. } = breaker.admit(now_ms) {
            black_box(breaker.report(ticket, Outcome::Success, now_ms, call));
        }
    });
}
