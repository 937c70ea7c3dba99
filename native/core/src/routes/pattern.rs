//! Path patterns: `/identity/{user}/files/{path...}`.
//!
//! - A segment is a literal, `{name}` (exactly one segment that is not empty) or, as the last one,
//!   `{name...}` (zero or more segments, so that `/a/{p...}` takes `/a`, `/a/` and `/a/b/c`).
//! - Apart from that a trailing slash is significant: `/a` and `/a/` are two patterns.
//! - Literals are compared with canonical paths, so they are brought into the same spelling here.

use crate::path::{self, EncodedSlashes};

/// Longer patterns are mistakes; the bound also bounds the depth of the trie's recursion.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// A lookup remembers the end of each segment in an array of this size.
pub const MAX_SEGMENTS: usize = 32;

/// One step of the way through the trie.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes to compare, slashes included.
    Literal(Vec<u8>),
    Param,
    Rest,
}

/// What a segment is; less is more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Literal,
    Param,
    Rest,
}

#[derive(Debug)]
struct Capture {
    name: String,
    segment: usize,
    kind: Kind,
}

/// A parsed pattern.
#[derive(Debug)]
pub struct Pattern {
    pub parts: Vec<Part>,
    /// Kind of each segment. Of two patterns that match one path, the lesser shape is the more
    /// specific; the order of slices is total.
    pub shape: Vec<Kind>,
    captures: Vec<Capture>,
}

impl Pattern {
    /// Parses `text`; the error says what is wrong and what to write instead.
    pub fn parse(text: &str, slashes: EncodedSlashes) -> Result<Self, String> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(format!("the path is longer than {MAX_PATTERN_BYTES} bytes"));
        }
        let Some(tail) = text.strip_prefix('/') else {
            return Err(format!("'{text}' does not begin with '/'"));
        };
        let segments: Vec<&str> = tail.split('/').collect();
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("the path has more than {MAX_SEGMENTS} segments"));
        }
        let mut pattern = Self {
            parts: Vec::new(),
            shape: Vec::new(),
            captures: Vec::new(),
        };
        for (index, segment) in segments.iter().enumerate() {
            pattern.push_segment(segment, index + 1 == segments.len(), slashes)?;
        }
        Ok(pattern)
    }

    fn push_segment(
        &mut self,
        segment: &str,
        is_last: bool,
        slashes: EncodedSlashes,
    ) -> Result<(), String> {
        let inner = segment
            .strip_prefix('{')
            .and_then(|tail| tail.strip_suffix('}'));
        let Some(inner) = inner else {
            let literal = canonical_literal(segment, is_last, slashes)?;
            self.push_literal(b"/");
            self.push_literal(&literal);
            self.shape.push(Kind::Literal);
            return Ok(());
        };
        match inner.strip_suffix("...") {
            Some(_) if !is_last => {
                return Err(format!("'{segment}' must be the last segment"));
            }
            // No slash before it: the rest may be missing together with its slash.
            Some(name) => self.push_capture(name, Kind::Rest, Part::Rest)?,
            None => {
                self.push_literal(b"/");
                self.push_capture(inner, Kind::Param, Part::Param)?;
            }
        }
        Ok(())
    }

    fn push_literal(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::Literal(literal)) => literal.extend_from_slice(bytes),
            _ => self.parts.push(Part::Literal(bytes.to_vec())),
        }
    }

    fn push_capture(&mut self, name: &str, kind: Kind, part: Part) -> Result<(), String> {
        check_name(name)?;
        if self.captures.iter().any(|capture| capture.name == name) {
            return Err(format!(
                "the parameter '{name}' occurs twice; give each its own name"
            ));
        }
        self.captures.push(Capture {
            name: name.to_owned(),
            segment: self.shape.len(),
            kind,
        });
        self.shape.push(kind);
        self.parts.push(part);
        Ok(())
    }

    /// Names and values of the parameters in `path`, which this pattern matches. Values are spelt
    /// as in the canonical path: escapes stay escapes.
    pub fn captures<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.captures.iter().map(|capture| {
            let tail = tail_from_segment(path, capture.segment);
            let value = match capture.kind {
                Kind::Rest => tail,
                _ => tail.split(|&byte| byte == b'/').next().unwrap_or(tail),
            };
            (capture.name.as_str(), value)
        })
    }
}

/// `path` from the first byte of its segment number `segment`; empty if it has fewer segments.
fn tail_from_segment(path: &[u8], segment: usize) -> &[u8] {
    path.iter()
        .enumerate()
        .filter(|(_, &byte)| byte == b'/')
        .nth(segment)
        .map_or(&[], |(slash, _)| &path[slash + 1..])
}

fn check_name(name: &str) -> Result<(), String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(valid) {
        return Err(format!(
            "'{{{name}}}' is not a parameter; write {{name}} or {{name...}} with letters, digits, \
             '_' and '-'"
        ));
    }
    Ok(())
}

/// Brings a literal segment into the spelling of canonical paths. Text outside ASCII may be written
/// as it is read.
fn canonical_literal(
    segment: &str,
    is_last: bool,
    slashes: EncodedSlashes,
) -> Result<Vec<u8>, String> {
    if segment.is_empty() && is_last {
        return Ok(Vec::new());
    }
    if segment.contains(['{', '}']) {
        return Err(format!(
            "'{segment}': a parameter is a whole segment, as in /{{name}}; write %7B and %7D for \
             braces that are meant literally"
        ));
    }
    if segment.contains('?') {
        return Err(format!(
            "'{segment}': a path has no query; use the route's `query`"
        ));
    }
    let mut raw = vec![b'/'];
    for byte in segment.bytes() {
        if byte.is_ascii() && byte != b' ' {
            raw.push(byte);
        } else {
            raw.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    let canonical = path::normalize(&raw, slashes)
        .map_err(|error| format!("'{segment}' cannot be part of a path: {}", error.name()))?;
    match canonical.strip_prefix(b"/") {
        Some(literal) if !literal.is_empty() => Ok(literal.to_vec()),
        _ => Err(format!(
            "'{segment}' never occurs in a canonical path; remove the empty or dot segment"
        )),
    }
}
