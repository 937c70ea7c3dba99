//! The canonical path: one spelling per resource, made before anything looks at a request.
//!
//! The same bytes are matched, authorised, limited, logged and forwarded, so no two parts of the
//! system (nor the upstream) can read one request as two different paths.
//!
//! Rules, in the order in which they are applied (RFC 3986 §6.2.2; errors are checked in this order
//! too, so that two implementations agree on *which* error a bad path has):
//!
//! 1. The path begins with `/`.
//! 2. Byte by byte: escapes of unreserved characters are decoded, other escapes get upper-case hex,
//!    printable characters that RFC 3986 §3.3 does not allow are escaped, the rest is refused.
//! 3. What rule 2 made is looked at once more: an escape that a second decoder would turn into a
//!    dot, slash, backslash or NUL is refused, and the escapes must decode to UTF-8 (RFC 3629).
//! 4. Runs of slashes become one, then `.` and `..` are resolved (RFC 3986 §5.2.4). `..` above the
//!    root is refused. A dot segment with parameters (`..;x`, `..%3Bx`) or with spaces behind it
//!    (`..%20`) is a dot segment: servers that strip them see one.
//!
//! A canonical path is its own canonical path.

#![forbid(unsafe_code)]

use std::borrow::Cow;

/// An input byte becomes at most one escape.
pub const MAX_GROWTH: usize = 3;

/// What to do with `%2F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlashes {
    /// Refuse it: servers disagree on whether it separates segments.
    Reject,
    /// Keep it as data inside a segment. Beside a hidden dot segment it is refused all the same.
    Keep,
}

impl EncodedSlashes {
    /// Reads the configuration's word for it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "reject" => Some(Self::Reject),
            "keep" => Some(Self::Keep),
            _ => None,
        }
    }
}

/// Why a path is refused. The numbers are part of the C face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// `%` without two hex digits.
    BadEscape = 1,
    /// `%00`.
    Nul = 2,
    /// A raw or escaped control character, a raw space, or a raw byte outside ASCII.
    Control = 3,
    /// A raw or escaped backslash: some upstreams read it as a slash.
    Backslash = 4,
    /// `%2F` while it is refused, or one that hides a dot segment.
    EncodedSlash = 5,
    /// `%25` and then `2E`, `2F`, `5C` or `00`: a second decoder would see another path.
    DoubleEncoding = 6,
    /// The escapes do not decode to UTF-8 (overlong forms and surrogates included).
    NotUtf8 = 7,
    /// `..` above the root.
    AboveRoot = 8,
    /// `#`: a fragment is never sent (RFC 9112 §3.2).
    Fragment = 9,
    /// The path does not begin with `/`.
    NotAbsolute = 10,
    /// The caller's buffer is too small; [`MAX_GROWTH`] times the input is always enough.
    NoRoom = 11,
}

impl PathError {
    /// Stable name, used in answers, logs and tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadEscape => "bad_escape",
            Self::Nul => "nul",
            Self::Control => "control",
            Self::Backslash => "backslash",
            Self::EncodedSlash => "encoded_slash",
            Self::DoubleEncoding => "double_encoding",
            Self::NotUtf8 => "not_utf8",
            Self::AboveRoot => "above_root",
            Self::Fragment => "fragment",
            Self::NotAbsolute => "not_absolute",
            Self::NoRoom => "no_room",
        }
    }
}

/// What a raw byte is in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Allowed as it is: `pchar` of RFC 3986 §3.3 without the two below and without escapes.
    Plain,
    Dot,
    Slash,
    Percent,
    /// Printable, but not allowed raw.
    Escape,
    Refused(PathError),
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused(PathError::Control); 256];
    let mut byte = 0x21;
    while byte < 0x7F {
        classes[byte] = classify(byte as u8);
        byte += 1;
    }
    classes
};

const fn classify(byte: u8) -> Class {
    match byte {
        b'.' => Class::Dot,
        b'/' => Class::Slash,
        b'%' => Class::Percent,
        b'#' => Class::Refused(PathError::Fragment),
        b'\\' => Class::Refused(PathError::Backslash),
        b'"' | b'<' | b'>' | b'?' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Escape,
        _ => Class::Plain,
    }
}

/// Unreserved characters of RFC 3986 §2.3: escaped or not, they mean the same.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// True for a path that is surely canonical: the fast path of nearly every request. False means
/// only "look closer".
pub fn is_plain(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut at_segment_start = false;
    for &byte in path {
        match CLASSES[usize::from(byte)] {
            Class::Plain => at_segment_start = false,
            Class::Dot if !at_segment_start => {}
            Class::Slash if !at_segment_start => at_segment_start = true,
            _ => return false,
        }
    }
    true
}

/// The canonical form of `path`; borrowed where nothing has to change.
pub fn normalize(path: &[u8], slashes: EncodedSlashes) -> Result<Cow<'_, [u8]>, PathError> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = vec![0; path.len() * MAX_GROWTH];
    let length = rewrite(path, slashes, &mut out)?;
    out.truncate(length);
    Ok(Cow::Owned(out))
}

/// Writes the canonical form of `path` into `out` and returns its length. Allocates nothing.
pub fn normalize_into(
    path: &[u8],
    slashes: EncodedSlashes,
    out: &mut [u8],
) -> Result<usize, PathError> {
    if is_plain(path) {
        let target = out.get_mut(..path.len()).ok_or(PathError::NoRoom)?;
        target.copy_from_slice(path);
        return Ok(path.len());
    }
    rewrite(path, slashes, out)
}

/// Rules 1 to 4 of the module's head, each a pass over `out`.
fn rewrite(path: &[u8], slashes: EncodedSlashes, out: &mut [u8]) -> Result<usize, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let length = respell(path, slashes, out)?;
    let respelled = &mut out[..length];
    if has_double_encoding(respelled) {
        return Err(PathError::DoubleEncoding);
    }
    if !escapes_are_utf8(respelled) {
        return Err(PathError::NotUtf8);
    }
    resolve_dot_segments(respelled)
}

/// Rule 2: gives every character its one spelling.
fn respell(path: &[u8], slashes: EncodedSlashes, out: &mut [u8]) -> Result<usize, PathError> {
    let mut written = 0;
    let mut rest = path;
    while let Some((&raw, after)) = rest.split_first() {
        rest = after;
        let (byte, escape) = match CLASSES[usize::from(raw)] {
            Class::Plain | Class::Dot | Class::Slash => (raw, false),
            Class::Escape => (raw, true),
            Class::Refused(error) => return Err(error),
            Class::Percent => {
                let byte = escaped_byte(rest).ok_or(PathError::BadEscape)?;
                check_escaped(byte, slashes)?;
                rest = &rest[2..];
                (byte, !is_unreserved(byte))
            }
        };
        let width = if escape { 3 } else { 1 };
        let target = out
            .get_mut(written..written + width)
            .ok_or(PathError::NoRoom)?;
        if escape {
            target.copy_from_slice(&[b'%', hex_digit(byte >> 4), hex_digit(byte & 0xF)]);
        } else {
            target[0] = byte;
        }
        written += width;
    }
    Ok(written)
}

/// The byte that the two hex digits at the head of `digits` stand for.
pub(crate) fn escaped_byte(digits: &[u8]) -> Option<u8> {
    let high = char::from(*digits.first()?).to_digit(16)?;
    let low = char::from(*digits.get(1)?).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

const fn hex_digit(nibble: u8) -> u8 {
    b"0123456789ABCDEF"[nibble as usize]
}

fn check_escaped(byte: u8, slashes: EncodedSlashes) -> Result<(), PathError> {
    match byte {
        0 => Err(PathError::Nul),
        0x01..=0x1F | 0x7F => Err(PathError::Control),
        b'\\' => Err(PathError::Backslash),
        b'/' if slashes == EncodedSlashes::Reject => Err(PathError::EncodedSlash),
        _ => Ok(()),
    }
}

/// Looks at the respelled path, because the digits behind `%25` may have come as escapes themselves
/// (`%25%32%65`).
fn has_double_encoding(path: &[u8]) -> bool {
    path.windows(5).any(|window| {
        window.starts_with(b"%25")
            && [b"2E", b"2F", b"5C", b"00"]
                .iter()
                .any(|digits| window[3..].eq_ignore_ascii_case(*digits))
    })
}

/// Raw bytes are ASCII by now, so only runs of escapes can be malformed. A character is complete
/// within its run: an escape outside ASCII is either its lead or is consumed with it.
fn escapes_are_utf8(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        rest = &rest[at..];
        let Some(width) = escaped_character_width(rest) else {
            return false;
        };
        rest = &rest[width * 3..];
    }
    true
}

/// Bytes of the UTF-8 character whose escapes begin `text`; `None` if they are not one.
fn escaped_character_width(text: &[u8]) -> Option<usize> {
    let mut character = [0; 4];
    character[0] = escaped_byte(text.get(1..)?)?;
    let width = match character[0] {
        0x00..=0x7F => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    for (index, byte) in character[..width].iter_mut().enumerate().skip(1) {
        let escape = text.get(index * 3..)?.strip_prefix(b"%")?;
        *byte = escaped_byte(escape)?;
    }
    std::str::from_utf8(&character[..width]).ok()?;
    Some(width)
}

/// What a segment means for the resolution of dot segments.
enum Segment {
    Nothing,
    Parent,
    Name,
}

/// Rule 4, in place: `path[..written]` is the result so far and always ends with a slash.
fn resolve_dot_segments(path: &mut [u8]) -> Result<usize, PathError> {
    let mut written = 1;
    let mut start = 1;
    loop {
        let tail = &path[start..];
        let length = tail.iter().position(|&byte| byte == b'/');
        let end = length.map_or(path.len(), |length| start + length);
        match read_segment(&path[start..end])? {
            Segment::Nothing => {}
            Segment::Parent => written = parent(&path[..written]).ok_or(PathError::AboveRoot)?,
            Segment::Name => {
                // The slash behind the segment moves with it, if there is one.
                let next = path.len().min(end + 1);
                path.copy_within(start..next, written);
                written += next - start;
            }
        }
        if end == path.len() {
            return Ok(written);
        }
        start = end + 1;
    }
}

fn read_segment(segment: &[u8]) -> Result<Segment, PathError> {
    match dots(segment) {
        2 => Ok(Segment::Parent),
        1 => Ok(Segment::Nothing),
        _ if segment.is_empty() => Ok(Segment::Nothing),
        _ if hides_dot_segment(segment) => Err(PathError::EncodedSlash),
        _ => Ok(Segment::Name),
    }
}

/// What separates parameters (RFC 3986 §3.3, by convention), for servers that decode before they
/// look for it, once or twice. Rule 2 has made the first escape upper-case, not what `%25` precedes.
const SEMICOLONS: [&[u8]; 4] = [b";", b"%3B", b"%253B", b"%253b"];

/// A space, which some file systems leave out at the end of a name; decoded once or twice.
const SPACES: [&[u8]; 2] = [b"%20", b"%2520"];

/// 1 for `.` and 2 for `..`, with spaces and parameters behind or without; 0 for a name.
fn dots(segment: &[u8]) -> usize {
    let dots = segment.iter().take_while(|&&byte| byte == b'.').count();
    let mut rest = &segment[dots..];
    while let Some(after) = SPACES.iter().find_map(|space| rest.strip_prefix(*space)) {
        rest = after;
    }
    let ends = rest.is_empty() || SEMICOLONS.iter().any(|end| rest.starts_with(end));
    if dots <= 2 && ends {
        dots
    } else {
        0
    }
}

fn hides_dot_segment(segment: &[u8]) -> bool {
    pieces_at_encoded_slashes(segment).any(|piece| dots(piece) > 0)
}

/// What lies between the kept `%2F` of a segment.
fn pieces_at_encoded_slashes(segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(segment);
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = text.windows(3).position(|window| window == b"%2F");
        rest = cut.map(|at| &text[at + 3..]);
        Some(&text[..cut.unwrap_or(text.len())])
    })
}

/// Length of `path` (which ends with a slash) without its last segment; `None` at the root.
fn parent(path: &[u8]) -> Option<usize> {
    let (_, before_slash) = path.split_last()?;
    let slash = before_slash.iter().rposition(|&byte| byte == b'/')?;
    Some(slash + 1)
}

#[cfg(test)]
mod tests;
