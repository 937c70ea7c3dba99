//! `cargo bench --bench lru`

mod measure;

use gateway_core::keyed_hash::HashKey;
use gateway_core::lru::Lru;
use measure::measure;
use std::hint::black_box;

/// Bytes: an RS256 token with a handful of claims.
const TOKEN: usize = 560;

fn token(number: usize) -> Vec<u8> {
    let mut token = vec![b'x'; TOKEN];
    let tail = format!("{number:032}");
    token[TOKEN - tail.len()..].copy_from_slice(tail.as_bytes());
    token
}

fn main() {
    for count in [10, 1_000, 50_000] {
        let mut lru = Lru::new(HashKey([1, 2]), count, usize::MAX);
        let tokens: Vec<_> = (0..count as usize).map(token).collect();
        for token in &tokens {
            lru.insert(token).expect("there is room");
        }
        // A stride that has no divisor in common with the counts visits all of them.
        measure(&format!("find one of {count}"), |call| {
            let at = (call as usize).wrapping_mul(7_919) % tokens.len();
            black_box(lru.find(black_box(&tokens[at])));
        });
        let stranger = token(count as usize);
        measure(&format!("find none of {count}"), |_| {
            black_box(lru.find(black_box(&stranger)));
        });
    }
}
