//! Conditions on header fields and on the query.
//!
//! A field or parameter that occurs several times fulfils a test if one of its values does.

use crate::path::escaped_byte;

/// What is asked of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Present,
    Absent,
    Exact(String),
    Prefix(String),
}

impl Test {
    /// Reads the configuration's operator; `None` for an unknown one.
    pub fn from_op(op: &str, value: &str) -> Option<Self> {
        match op {
            "present" => Some(Self::Present),
            "absent" => Some(Self::Absent),
            "exact" => Some(Self::Exact(value.to_owned())),
            "prefix" => Some(Self::Prefix(value.to_owned())),
            _ => None,
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    pub name: String,
    pub test: Test,
}

impl Predicate {
    /// Whether the header fields fulfil it. Names are compared without case (RFC 9110 §5.1), values
    /// as they are.
    pub fn holds_for_fields<'a>(
        &self,
        mut fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> bool {
        let mut any_value = |test: &dyn Fn(&[u8]) -> bool| {
            fields
                .any(|(name, value)| name.eq_ignore_ascii_case(self.name.as_bytes()) && test(value))
        };
        match &self.test {
            Test::Present => any_value(&|_| true),
            Test::Absent => !any_value(&|_| true),
            Test::Exact(expected) => any_value(&|value| value == expected.as_bytes()),
            Test::Prefix(prefix) => any_value(&|value| value.starts_with(prefix.as_bytes())),
        }
    }

    /// Whether the query (without its `?`) fulfils it. Names and values are compared after
    /// percent-decoding; `+` is a plus sign, and an escape without two hex digits is itself.
    pub fn holds_for_query(&self, query: &[u8]) -> bool {
        let any_value = |test: &dyn Fn(Decoded) -> bool| {
            pairs(query)
                .any(|(name, value)| Decoded(name).eq(self.name.bytes()) && test(Decoded(value)))
        };
        match &self.test {
            Test::Present => any_value(&|_| true),
            Test::Absent => !any_value(&|_| true),
            Test::Exact(expected) => any_value(&|value| value.eq(expected.bytes())),
            Test::Prefix(prefix) => any_value(&|mut value| {
                let mut expected = prefix.bytes();
                expected.all(|byte| value.next() == Some(byte))
            }),
        }
    }
}

/// `name=value` pairs; a parameter without `=` has an empty value.
fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[..0]),
        })
}

/// The percent-decoded bytes of a text, one by one.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&raw, tail) = self.0.split_first()?;
        let decoded = if raw == b'%' {
            escaped_byte(tail)
        } else {
            None
        };
        self.0 = if decoded.is_some() { &tail[2..] } else { tail };
        Some(decoded.unwrap_or(raw))
    }
}
