//! Hosts: exact names, `*.suffix`, or any; each chooses a trie.
//!
//! `*.example.org` takes every name below `example.org`, however deep, but not `example.org`.

use std::collections::HashMap;

/// Longest name of the DNS (RFC 1035 §2.3.4). A longer host can only match routes for any host, so
/// that a hostile one costs nothing.
const MAX_HOST_BYTES: usize = 253;

/// Which hosts a route takes, most specific first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPattern {
    Exact(String),
    /// The suffix with its leading dot.
    Wildcard(String),
    Any,
}

impl HostPattern {
    /// Parses a name or `*.suffix`; the error says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        if name.contains('*') {
            return Err(format!(
                "'{text}': a wildcard is the whole first label, as in *.example.org; leave `hosts` \
                 empty for any host"
            ));
        }
        if split_port(name).1.is_some() {
            return Err(format!(
                "'{text}': hosts are matched without their port; remove it"
            ));
        }
        let canonical = canonical_host(name);
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]:".contains(&byte);
        if canonical.is_empty()
            || canonical.len() > MAX_HOST_BYTES
            || canonical.starts_with('.')
            || !canonical.bytes().all(valid)
        {
            return Err(format!(
                "'{text}' is not a host name; names outside ASCII are written in Punycode"
            ));
        }
        if name.len() == text.len() {
            Ok(Self::Exact(canonical))
        } else {
            Ok(Self::Wildcard(format!(".{canonical}")))
        }
    }

    /// Sort key: exact names are equal to each other (no request has two hosts), longer suffixes
    /// come before shorter ones.
    pub fn specificity(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (0, 0),
            Self::Wildcard(suffix) => (1, usize::MAX - suffix.len()),
            Self::Any => (2, 0),
        }
    }
}

/// `host` as it is matched: lower case, without its port and without one trailing dot.
pub fn canonical_host(host: &str) -> String {
    let (name, _) = split_port(host);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    }
}

/// From a request's host to the numbers of the tries that may know it.
#[derive(Debug, Default)]
pub struct HostIndex {
    exact: HashMap<Box<[u8]>, usize>,
    /// Keys have their leading dot.
    wildcard: HashMap<Box<[u8]>, usize>,
    longest_wildcard: usize,
    any: Option<usize>,
}

impl HostIndex {
    /// The trie of `host`; `next` if it has none yet.
    pub fn insert(&mut self, host: &HostPattern, next: usize) -> usize {
        match host {
            HostPattern::Exact(name) => *self.exact.entry(name.as_bytes().into()).or_insert(next),
            HostPattern::Wildcard(suffix) => {
                self.longest_wildcard = self.longest_wildcard.max(suffix.len());
                *self
                    .wildcard
                    .entry(suffix.as_bytes().into())
                    .or_insert(next)
            }
            HostPattern::Any => *self.any.get_or_insert(next),
        }
    }

    /// Calls `visit` with each trie for `host` (canonical), most specific first.
    pub fn each(&self, host: &[u8], mut visit: impl FnMut(usize)) {
        if host.len() <= MAX_HOST_BYTES {
            if let Some(&trie) = lookup(&self.exact, host) {
                visit(trie);
            }
            if !self.wildcard.is_empty() {
                self.each_wildcard(host, &mut visit);
            }
        }
        if let Some(trie) = self.any {
            visit(trie);
        }
    }

    fn each_wildcard(&self, host: &[u8], visit: &mut impl FnMut(usize)) {
        let shortest_prefix = host.len().saturating_sub(self.longest_wildcard).max(1);
        for at in shortest_prefix..host.len() {
            if host[at] == b'.' {
                if let Some(&trie) = self.wildcard.get(&host[at..]) {
                    visit(trie);
                }
            }
        }
    }
}

/// Spares the hash where there is nothing to find.
fn lookup<'a>(map: &'a HashMap<Box<[u8]>, usize>, key: &[u8]) -> Option<&'a usize> {
    if map.is_empty() {
        return None;
    }
    map.get(key)
}
