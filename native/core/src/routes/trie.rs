//! A radix trie over the bytes of canonical paths, with backtracking.
//!
//! - A node stands for a run of literal bytes. Below it are nodes that begin with different bytes,
//!   at most one node behind a `{name}`, and the ranks of the routes that end there.
//! - Each node knows the least rank below it. A walk that has found a route enters only nodes that
//!   can still beat it.
//! - A parameter takes exactly one segment, so each node belongs to one place in the path and a
//!   walk comes to it at most once. The end of a segment is looked for once per walk. Together: a
//!   walk costs at most the size of the trie plus the length of the path, whatever the path is.

use std::collections::VecDeque;
use std::ops::Range;

use super::pattern::{Part, Pattern, MAX_SEGMENTS};

/// "No such node", and the rank that every route beats.
pub const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node {
    /// Range in `Trie::bytes`: the literal bytes after the first, which chose this node.
    prefix: Range<u32>,
    /// Range of nodes; sorted by first byte.
    children: Range<u32>,
    /// Range in `Trie::ranks`: routes that end behind this node.
    leaf: Range<u32>,
    /// Range in `Trie::ranks`: routes whose `{name...}` begins behind this node.
    rest: Range<u32>,
    /// The node behind a `{name}`.
    param: u32,
    /// Number of the segment that `param` takes.
    segment: u32,
    /// Least rank at or below this node.
    least: u32,
}

/// The routes of one host.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<Node>,
    /// First byte of each node's prefix, beside each other for a quick choice among children.
    first_bytes: Vec<u8>,
    bytes: Vec<u8>,
    ranks: Vec<u32>,
}

impl Trie {
    /// Builds the trie of `patterns`, which come in the order of their ranks.
    pub fn build<'a>(patterns: impl Iterator<Item = (u32, &'a Pattern)>) -> Self {
        let mut root = Branch::default();
        for (rank, pattern) in patterns {
            root.insert(rank, pattern);
        }
        Flattener::flatten(&root)
    }

    fn child(&self, node: &Node, first: u8) -> Option<u32> {
        let candidates = slice(&self.first_bytes, &node.children);
        let index = candidates.binary_search(&first).ok()?;
        Some(node.children.start + index as u32)
    }
}

fn slice<'a, T>(all: &'a [T], range: &Range<u32>) -> &'a [T] {
    &all[range.start as usize..range.end as usize]
}

/// One lookup: the path, the best rank so far, and what is known of the path's segments.
pub struct Walk<'p> {
    path: &'p [u8],
    /// Rank of the best route that was accepted; [`NONE`] without one.
    pub best: u32,
    /// End of each segment; 0 = not looked for yet (no segment ends there).
    segment_ends: [usize; MAX_SEGMENTS],
    #[cfg(test)]
    pub visits: usize,
    #[cfg(test)]
    pub measured_segments: usize,
}

impl<'p> Walk<'p> {
    pub fn new(path: &'p [u8]) -> Self {
        Self {
            path,
            best: NONE,
            segment_ends: [0; MAX_SEGMENTS],
            #[cfg(test)]
            visits: 0,
            #[cfg(test)]
            measured_segments: 0,
        }
    }

    /// Offers every route of `trie` that matches the path and beats the best so far to `accept`;
    /// the one that it accepts is the best from then on.
    pub fn through(&mut self, trie: &Trie, accept: &mut impl FnMut(u32) -> bool) {
        self.visit(trie, 0, 0, accept);
    }

    /// Visits one node; the path matches up to byte `at`.
    fn visit(&mut self, trie: &Trie, index: u32, at: usize, accept: &mut impl FnMut(u32) -> bool) {
        let node = &trie.nodes[index as usize];
        if node.least >= self.best {
            return;
        }
        #[cfg(test)]
        {
            self.visits += 1;
        }
        let prefix = slice(&trie.bytes, &node.prefix);
        let Some(tail) = self.path[at..].strip_prefix(prefix) else {
            return;
        };
        let at = self.path.len() - tail.len();
        match tail.first() {
            None => self.offer(slice(&trie.ranks, &node.leaf), accept),
            Some(&first) => {
                if let Some(child) = trie.child(node, first) {
                    self.visit(trie, child, at + 1, accept);
                }
                if node.param != NONE && first != b'/' {
                    let end = self.segment_end(node.segment as usize, at);
                    self.visit(trie, node.param, end, accept);
                }
            }
        }
        if matches!(tail.first(), None | Some(b'/')) {
            self.offer(slice(&trie.ranks, &node.rest), accept);
        }
    }

    fn offer(&mut self, ranks: &[u32], accept: &mut impl FnMut(u32) -> bool) {
        for &rank in ranks {
            if rank >= self.best {
                return;
            }
            if accept(rank) {
                self.best = rank;
            }
        }
    }

    fn segment_end(&mut self, segment: usize, start: usize) -> usize {
        let known = self.segment_ends[segment];
        if known != 0 {
            return known;
        }
        #[cfg(test)]
        {
            self.measured_segments += 1;
        }
        let tail = &self.path[start..];
        let length = tail.iter().position(|&byte| byte == b'/');
        let end = start + length.unwrap_or(tail.len());
        self.segment_ends[segment] = end;
        end
    }
}

/// A node while the trie grows.
#[derive(Default)]
struct Branch {
    prefix: Vec<u8>,
    /// Sorted by first byte.
    children: Vec<Branch>,
    param: Option<Box<Branch>>,
    leaf: Vec<u32>,
    rest: Vec<u32>,
}

impl Branch {
    fn insert(&mut self, rank: u32, pattern: &Pattern) {
        let mut branch = self;
        for part in &pattern.parts {
            branch = match part {
                Part::Literal(bytes) => branch.descend(bytes),
                Part::Param => branch.param.get_or_insert_default(),
                Part::Rest => return branch.rest.push(rank),
            };
        }
        branch.leaf.push(rank);
    }

    /// The branch behind `bytes`, grown or split off as needed.
    fn descend(&mut self, bytes: &[u8]) -> &mut Self {
        let Some(first) = bytes.first() else {
            return self;
        };
        match self
            .children
            .binary_search_by_key(first, |child| child.prefix[0])
        {
            Err(at) => {
                let child = Self {
                    prefix: bytes.to_vec(),
                    ..Self::default()
                };
                self.children.insert(at, child);
                &mut self.children[at]
            }
            Ok(at) => {
                let child = &mut self.children[at];
                let shared = bytes.iter().zip(&child.prefix);
                let shared = shared.take_while(|(left, right)| left == right).count();
                if shared < child.prefix.len() {
                    child.split(shared);
                }
                child.descend(&bytes[shared..])
            }
        }
    }

    /// Keeps the first `at` bytes of the prefix and moves everything else into a child.
    fn split(&mut self, at: usize) {
        let tail = self.prefix.split_off(at);
        let head = std::mem::take(&mut self.prefix);
        let lower = std::mem::take(self);
        self.prefix = head;
        self.children.push(Self {
            prefix: tail,
            ..lower
        });
    }
}

/// Lays branches out breadth first, so that the children of a node lie beside each other.
struct Flattener<'b> {
    trie: Trie,
    /// Branches whose node is reserved but not filled, with the slashes before them.
    waiting: VecDeque<(&'b Branch, u32)>,
}

impl<'b> Flattener<'b> {
    fn flatten(root: &'b Branch) -> Trie {
        let trie = Trie {
            nodes: Vec::new(),
            first_bytes: vec![0],
            bytes: Vec::new(),
            ranks: Vec::new(),
        };
        let mut flattener = Self {
            trie,
            waiting: VecDeque::from([(root, 0)]),
        };
        while let Some((branch, slashes)) = flattener.waiting.pop_front() {
            flattener.fill(branch, slashes);
        }
        flattener.trie.set_least_ranks();
        flattener.trie
    }

    fn fill(&mut self, branch: &'b Branch, slashes_before: u32) {
        let own = branch.prefix.iter().filter(|&&byte| byte == b'/').count();
        let slashes = slashes_before + own as u32;
        let children = self.reserve(branch.children.iter(), slashes);
        let param = self.reserve(branch.param.as_deref().into_iter(), slashes);
        let trie = &mut self.trie;
        trie.nodes.push(Node {
            prefix: append(&mut trie.bytes, branch.prefix.get(1..).unwrap_or_default()),
            leaf: append(&mut trie.ranks, &branch.leaf),
            rest: append(&mut trie.ranks, &branch.rest),
            param: if param.is_empty() { NONE } else { param.start },
            // A parameter stands behind a slash; only the root of the trie has none before it.
            segment: slashes.saturating_sub(1),
            children,
            least: NONE,
        });
    }

    fn reserve(&mut self, branches: impl Iterator<Item = &'b Branch>, slashes: u32) -> Range<u32> {
        let first = self.trie.first_bytes.len() as u32;
        for branch in branches {
            let first_byte = branch.prefix.first().copied().unwrap_or_default();
            self.trie.first_bytes.push(first_byte);
            self.waiting.push_back((branch, slashes));
        }
        first..self.trie.first_bytes.len() as u32
    }
}

fn append<T: Copy>(all: &mut Vec<T>, new: &[T]) -> Range<u32> {
    let start = all.len() as u32;
    all.extend_from_slice(new);
    start..all.len() as u32
}

impl Trie {
    /// Nodes lie behind their parents, so the last come first.
    fn set_least_ranks(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            let node = &self.nodes[index];
            let own = [&node.leaf, &node.rest].map(|range| slice(&self.ranks, range).first());
            let below = slice(&self.nodes, &node.children).iter();
            let behind = self.nodes.get(node.param as usize).into_iter();
            let least = below.chain(behind).map(|node| node.least);
            let least = least.chain(own.into_iter().flatten().copied()).min();
            self.nodes[index].least = least.unwrap_or(NONE);
        }
    }
}
