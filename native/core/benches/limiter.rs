//! `cargo bench --bench limiter`

mod measure;

use gateway_core::limiter::{Ask, Cell, CellTable, Limits, Quota, Rule, Tally, DEFAULT_CELLS};
use measure::measure;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

const SECOND: u64 = 1_000_000_000;

fn ask(rule: u32, key: u64) -> Ask {
    Ask {
        rule,
        weight: 1,
        enforced: 1,
        reserved: 0,
        key,
    }
}

/// splitmix64's finaliser, as the data plane makes its keys.
fn key(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits ^ (bits >> 31)) | 1
}

fn main() {
    let cells: Vec<Cell> = (0..DEFAULT_CELLS).map(|_| Cell::default()).collect();
    let tally = Tally::default();
    let table = CellTable::new(&cells, &tally);
    let limits = Limits(vec![
        Rule::bucket(1_000_000, SECOND, 1_000_000),
        Rule::sliding(60, SECOND),
        Rule::sliding(200_000, SECOND),
        Rule::bucket(10_000_000, SECOND, 10_000_000),
    ]);
    let mut out = [Quota::default(); 3];
    for (name, rule) in [("bucket", 0), ("log of 60", 1), ("sliding counter", 2)] {
        measure(&format!("{name}, one key"), |call| {
            let asks = [ask(rule, black_box(77 << 56))];
            limits.acquire(&table, &asks, SECOND + call * 20, &mut out);
        });
    }
    for keys in [10, 1_000_000] {
        measure(&format!("bucket, {keys} keys"), |call| {
            let asks = [ask(0, key((call.wrapping_mul(0x9E37_79B9) >> 7) % keys))];
            limits.acquire(&table, &asks, SECOND + call * 20, &mut out);
        });
        measure(&format!("user, address, everybody: {keys} keys"), |call| {
            let caller = (call.wrapping_mul(0x9E37_79B9) >> 7) % (keys / 2);
            let asks = [
                ask(0, key(caller)),
                ask(0, key(caller ^ 1 << 40)),
                ask(3, key(1 << 50)),
            ];
            limits.acquire(&table, &asks, SECOND + call * 20, &mut out);
        });
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut out = [Quota::default()];
            for call in 0.. {
                limits.acquire(&table, &[ask(0, 77 << 56)], SECOND + call * 20, &mut out);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        measure("bucket, one key, two processors", |call| {
            let asks = [ask(0, black_box(77 << 56))];
            limits.acquire(&table, &asks, SECOND + call * 20, &mut out);
        });
        done.store(true, Ordering::Relaxed);
    });
    println!("{} evictions", table.evictions());
}
