//! The targets under plain cargo: random inputs made of telling pieces, from a fixed seed, for a
//! bounded time. `FUZZ_SECONDS` lengthens the run, `FUZZ_SEED` chooses another.

use std::env;
use std::time::{Duration, Instant};

const DEFAULT_SECONDS: u64 = 2;
const MAX_PIECES: u64 = 24;

const PATH_PIECES: &[&str] = &[
    "/",
    "//",
    ".",
    "..",
    ";",
    "a",
    "~",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "\\",
    "%25",
    "%32",
    "%65",
    "2e",
    "2f",
    "00",
    "%00",
    "%c3%a9",
    "%c0%af",
    "%e2%82%ac",
    "%ed%a0%80",
    "%",
    "%4",
    "#",
    "{",
    " ",
];

const ROUTE_PIECES: &[&str] = &[
    "\n",
    "\n/",
    " ",
    " - ",
    "/",
    "/a",
    "/b",
    "/ab",
    "/{x}",
    "/{y}",
    "/{r...}",
    "a.org",
    "*.org",
    "*.a.org",
    "GET",
    "POST",
    "BREW",
    "1",
    "-1",
    "x-method",
    "v",
    "v=1",
    "%76",
    "=",
    "&",
    "%2F",
    "GET a.org /a/b v=1\n/{x}",
    "POST - /a/ab/b -\n/a/{x}",
    "HEAD b.a.org /ab/ v\n/{r...}",
    "\n/{r...} - - 1 x-method",
    "\n/{r...} - - -1 v",
];

/// xorshift64*: enough to choose pieces, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn input(&mut self, pieces: &[&str]) -> Vec<u8> {
        let mut input = Vec::new();
        for _ in 0..self.below(MAX_PIECES) {
            match self.below(40) {
                0 => input.push(self.next() as u8),
                _ => {
                    let piece = pieces[self.below(pieces.len() as u64) as usize];
                    input.extend_from_slice(piece.as_bytes());
                }
            }
        }
        input
    }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a whole number"))
}

fn run(target: fn(&[u8]), pieces: &[&str], prefix: &str) {
    let mut random = Random(number("FUZZ_SEED", 0x9E37_79B9_7F4A_7C15).max(1));
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS", DEFAULT_SECONDS));
    let mut inputs = 0;
    while Instant::now() < end {
        let mut input = prefix.as_bytes().to_vec();
        input.extend(random.input(pieces));
        if std::panic::catch_unwind(|| target(&input)).is_err() {
            panic!("fails for {:?}", String::from_utf8_lossy(&input));
        }
        inputs += 1;
    }
    assert!(inputs > 1000, "only {inputs} inputs: is the target stuck?");
}

#[test]
fn path() {
    run(gateway_core_fuzz::path, PATH_PIECES, "/");
}

#[test]
fn path_of_any_bytes() {
    run(gateway_core_fuzz::path, PATH_PIECES, "");
}

#[test]
fn routes() {
    run(gateway_core_fuzz::routes, ROUTE_PIECES, "GET a.org /");
}
