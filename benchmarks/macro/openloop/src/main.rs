//! Open-loop HTTP/1.1 load from one thread.
//!
//! Requests leave on a fixed schedule whether or not earlier answers have come. A request that
//! finds no free connection waits, and its latency still counts from the moment it was due, so a
//! stall of the server is seen by every request that it delayed (no coordinated omission).
//!
//! It prints `begin` and `end` at the edges of the measured window, then one line of JSON, and
//! holds its connections open until standard input ends: the harness reads the server's CPU time
//! and memory at these moments.

mod answer;
mod connection;
mod load;
mod options;
mod schedule;
mod tally;

use std::io::Write;
use std::process::ExitCode;

/// Usage error, as BSD's sysexits and most shells have it.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("openloop: {problem}\nusage: {}", options::USAGE);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("openloop: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &options::Options) -> Result<(), String> {
    let requests = load::compose(options)?;
    let mut load = load::Load::new(options, requests)?;
    load.connect_all()?;
    load.run(announce)?;
    announce(&load.tally().to_json(options.seconds));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map_err(|e| e.to_string())?;
    Ok(())
}

/// One line to the harness, at once. A harness that has gone is noticed at the end of stdin.
fn announce(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
