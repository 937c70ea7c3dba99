//! The command line, read once.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::prelude::*;

pub const USAGE: &str = "openloop --target 127.0.0.1:PORT --rate REQUESTS_PER_SECOND \
--connections N --seconds S [--warmup S] [--grace S] --fields FILE --paths FILE";

/// What to send, how fast, and for how long.
#[derive(Debug)]
pub struct Options {
    pub target: SocketAddrV4,
    pub rate_per_s: f64,
    pub connections: usize,
    pub warmup_s: f64,
    pub seconds: f64,
    /// How long after the last planned request its answer is still waited for.
    pub grace_s: f64,
    /// Header fields as they go on the wire, one per line.
    pub fields: PathBuf,
    /// Request targets, one per line, used in turn.
    pub paths: PathBuf,
}

/// Reads the arguments.
///
/// # Errors
/// A text that names the argument that is missing, unknown or out of range.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, String> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut target, mut rate_per_s, mut connections, mut seconds) = (None, None, None, None);
    let (mut warmup_s, mut grace_s) = (0.0, 2.0);
    let (mut fields, mut paths) = (None, None);
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Long("target") => target = Some(value::<SocketAddrV4>(&mut parser)?),
            Long("rate") => rate_per_s = Some(positive(&mut parser, "--rate")?),
            Long("connections") => connections = Some(value::<usize>(&mut parser)?),
            Long("seconds") => seconds = Some(positive(&mut parser, "--seconds")?),
            Long("warmup") => warmup_s = value::<f64>(&mut parser)?.max(0.0),
            Long("grace") => grace_s = value::<f64>(&mut parser)?.max(0.0),
            Long("fields") => fields = Some(value::<PathBuf>(&mut parser)?),
            Long("paths") => paths = Some(value::<PathBuf>(&mut parser)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Options {
        target: target.ok_or("--target is missing")?,
        rate_per_s: rate_per_s.ok_or("--rate is missing")?,
        connections: connections
            .filter(|n| *n > 0)
            .ok_or("--connections must be 1 or more")?,
        warmup_s,
        seconds: seconds.ok_or("--seconds is missing")?,
        grace_s,
        fields: fields.ok_or("--fields is missing")?,
        paths: paths.ok_or("--paths is missing")?,
    })
}

fn value<T: FromStr>(parser: &mut lexopt::Parser) -> Result<T, String>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    parser
        .value()
        .and_then(|v| v.parse::<T>())
        .map_err(|e| e.to_string())
}

fn positive(parser: &mut lexopt::Parser, name: &str) -> Result<f64, String> {
    match value::<f64>(parser)? {
        number if number.is_finite() && number > 0.0 => Ok(number),
        number => Err(format!("{name} must be above 0, not {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn options(line: &str) -> Result<super::Options, String> {
        parse(line.split_whitespace().map(Into::into))
    }

    const WHOLE: &str =
        "--target 127.0.0.1:1 --rate 5 --connections 2 --seconds 1 --fields f --paths p";

    #[test]
    fn a_whole_line_is_read() {
        let read = options(WHOLE).unwrap();
        assert_eq!(read.connections, 2);
        assert!((read.rate_per_s - 5.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(options("--rate 5").unwrap_err(), "--target is missing");
        assert!(options(&WHOLE.replace("--rate 5", "--rate 0"))
            .unwrap_err()
            .contains("--rate"));
        assert!(options(&format!("{WHOLE} --speed 3"))
            .unwrap_err()
            .contains("--speed"));
    }
}
