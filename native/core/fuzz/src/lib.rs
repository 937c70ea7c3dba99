//! One function per target. Each takes any bytes and panics if its invariant, which stands first in
//! its file, does not hold. `tests/random.rs` runs them with plain cargo for a bounded time;
//! `fuzz_targets/` hands them to libFuzzer.

mod path;
mod routes;

pub use path::path;
pub use routes::routes;
