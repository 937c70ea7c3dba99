//! `cargo bench --bench balancer`

mod measure;

use gateway_core::balancer::{Balancer, Kind};
use measure::measure;
use std::hint::black_box;

fn main() {
    for kind in Kind::ALL {
        for count in [3, 100, 1000] {
            let weights: Vec<u32> = (1..=count).collect();
            let balancer = Balancer::new(kind, &weights, 0).expect("valid weights");
            let name = format!("{} of {count} endpoints", kind.name());
            measure(&name, |call| {
                black_box(balancer.pick(black_box(call.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
            });
        }
    }
}
