//! Times a closure: the best of some rounds, which on a shared machine is the least disturbed one.

use std::time::Instant;

const ROUNDS: usize = 7;
const CALLS: u32 = 1_000_000;

/// Prints nanoseconds for each call.
pub fn measure(name: &str, mut call: impl FnMut(u64)) {
    let round = |_| {
        let start = Instant::now();
        (0..u64::from(CALLS)).for_each(&mut call);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    let best = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    println!("{name:44} {best:8.2} ns");
}
