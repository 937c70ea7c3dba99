//! `cargo bench --bench timer_wheel`

mod measure;

use gateway_core::timer_wheel::{TimerWheel, TICK_MS};
use measure::measure;
use std::hint::black_box;

const ENTRIES: u64 = 20_000;

fn main() {
    let mut wheel = TimerWheel::new(0);
    let handles: Vec<u32> = (0..ENTRIES).map(|i| wheel.insert(75_000 + i)).collect();
    let handle = |call: u64| handles[(call * 7919 % ENTRIES) as usize];

    measure("update, later (a store)", |call| {
        black_box(wheel.update(handle(call), 100_000 + call / 100));
    });
    measure("update, earlier and later (relinks half)", |call| {
        black_box(wheel.update(handle(call), 100_000 - call / 100));
    });
    measure("insert and remove", |call| {
        let handle = wheel.insert(black_box(10_000 + call % 60_000));
        wheel.remove(handle);
    });
    let mut now_ms = 0;
    let mut due = [0; 64];
    measure("a tick of 20,000 entries, re-armed as they fire", |_| {
        now_ms += TICK_MS;
        let fired = wheel.advance(now_ms, &mut due);
        for &handle in &due[..fired] {
            wheel.update(handle, now_ms + 75_000);
        }
    });
}
