//! `cargo bench --bench segment`

mod measure;

use gateway_core::limiter::DEFAULT_CELLS;
use gateway_core::segment::{Segment, SeriesKey};
use measure::measure;
use std::alloc::{alloc_zeroed, Layout};
use std::hint::black_box;

fn main() {
    let layout =
        Layout::from_size_align(Segment::size_for(1, DEFAULT_CELLS), 4096).expect("a sane size");
    // SAFETY: the size is not zero; zeroed memory of this size, never freed.
    let segment = unsafe {
        Segment::create(
            alloc_zeroed(layout),
            layout.size(),
            1,
            DEFAULT_CELLS,
            [1, 2],
        )
    };
    let segment = segment.expect("fresh memory");
    let region = segment.region(0).expect("slot 0");

    measure("add", |call| {
        region.add(black_box(5), black_box(call as i64))
    });
    measure("service_add", |call| {
        region.service_add(black_box(call as u32 % 20), black_box(2), 1);
    });
    for routes in [1, 100, 10_000] {
        measure(&format!("observe, {routes} series"), |call| {
            let route = (call.wrapping_mul(0x9E37_79B9) >> 7) as u32 % routes;
            let key = SeriesKey {
                route,
                service: 3,
                method: 0,
                status: 200,
            };
            region.observe(black_box(key), black_box(call * 40));
        });
    }
    measure("observe, series table full", |call| {
        let key = SeriesKey {
            route: call as u32,
            service: 3,
            method: 1,
            status: 404,
        };
        region.observe(black_box(key), black_box(call * 40));
    });
}
