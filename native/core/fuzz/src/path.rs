//! Invariant: whatever bytes come in, normalisation either refuses them or returns a path that
//!
//! - begins with `/` and holds only characters that RFC 3986 §3.3 allows, escapes in upper case;
//! - has no empty segment but the last, and no dot segment, however often it is decoded (twice);
//! - is its own canonical path, and the same through both entrances;
//! - is the input itself where the fast path says so.

use gateway_core::path::{is_plain, normalize, normalize_into, EncodedSlashes, MAX_GROWTH};

/// See the invariant at the head of this file.
pub fn path(data: &[u8]) {
    for slashes in [EncodedSlashes::Reject, EncodedSlashes::Keep] {
        let mut out = vec![0; data.len() * MAX_GROWTH];
        let into = normalize_into(data, slashes, &mut out).map(|length| &out[..length]);
        let Ok(canonical) = normalize(data, slashes) else {
            assert!(into.is_err(), "only one entrance refuses");
            assert!(!is_plain(data), "the fast path takes what is refused");
            continue;
        };
        assert_eq!(into, Ok(&*canonical), "the entrances differ");
        assert_eq!(
            normalize(&canonical, slashes).as_deref(),
            Ok(&*canonical),
            "not its own canonical path"
        );
        if is_plain(data) {
            assert_eq!(&*canonical, data, "the fast path changes a path");
        }
        check_spelling(&canonical);
        let once = decode(&canonical);
        for reading in [&*canonical, &once, &decode(&once)] {
            check_segments(reading);
        }
        let segments = canonical[1..].split(|&byte| byte == b'/');
        let empty = segments.filter(|segment| segment.is_empty()).count();
        assert!(empty <= 1, "an empty segment inside");
        assert!(empty == 0 || canonical.ends_with(b"/"));
    }
}

fn check_spelling(canonical: &[u8]) {
    assert_eq!(canonical.first(), Some(&b'/'));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    let mut rest = canonical;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
            assert!(tail.len() >= 2 && tail[..2].iter().all(digit), "bad escape");
            rest = &tail[2..];
        } else {
            assert!(allowed(byte), "byte {byte:#x} is not allowed");
        }
    }
}

/// Splits at backslashes and cuts parameters as well, since some servers do.
fn check_segments(reading: &[u8]) {
    for segment in reading.split(|byte| b"/\\".contains(byte)) {
        let name = segment
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or(segment);
        assert!(name != b"." && name != b"..", "a dot segment is left");
    }
    assert!(!reading.contains(&0), "a NUL is left");
}

/// Decodes escapes; what is not one stays.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    decoded
}
