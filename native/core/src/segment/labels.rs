//! The texts behind the numbers that metrics are labelled with: routes' patterns, services' names.
//! Append-only; ids survive a reload of the configuration and a restart of any process.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicU8, Ordering};

/// Enough for 10,000 routes and their services, and for some of them to be renamed.
pub const MAX_LABELS: usize = 16_384;
/// Room for the texts: 64 bytes each, were they all alike.
pub const LABEL_BYTES: usize = 64 * MAX_LABELS;
/// Id of "other", the label of what has no room of its own.
pub const OTHER: u32 = 0;

/// One writer at a time. It writes an entry whole before it raises `count` (release); readers look
/// only below `count` (acquire). An entry that a killed writer did not finish is written over.
#[repr(C, align(64))]
pub struct LabelTable {
    count: AtomicU32,
    /// Texts that found no room.
    dropped: AtomicU64,
    /// Where the text of each id ends; it begins where the one before ends.
    ends: [AtomicU32; MAX_LABELS],
    bytes: [AtomicU8; LABEL_BYTES],
}

/// What one process has read of the table.
#[derive(Default)]
pub struct LabelIndex {
    ids: HashMap<String, u32>,
    /// Entries below this id are in `ids`.
    seen: u32,
}

impl LabelTable {
    pub fn intern(&self, index: &mut LabelIndex, text: &str) -> u32 {
        // Another process may have written since: the supervisor and then the control process.
        let count = self.count();
        for id in index.seen..count {
            index.ids.insert(self.text(id), id);
        }
        index.seen = count;
        if let Some(&id) = index.ids.get(text) {
            return id;
        }
        let Some(id) = self.append(count, text) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return OTHER;
        };
        index.ids.insert(text.to_owned(), id);
        index.seen = id + 1;
        id
    }

    /// `id` itself if it was given out, else `OTHER`.
    pub fn known(&self, id: u32) -> u32 {
        if id < self.count() {
            id
        } else {
            OTHER
        }
    }

    pub fn text(&self, id: u32) -> String {
        let id = self.known(id);
        let (start, end) = (self.start(id), self.end(id));
        let bytes: Vec<u8> = self
            .bytes
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .map(|byte| byte.load(Ordering::Relaxed))
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub fn set_count_for_test(&self, count: u32) {
        self.count.store(count, Ordering::Release);
    }

    fn append(&self, id: u32, text: &str) -> Option<u32> {
        let start = self.start(id);
        let end = start + text.len();
        if id as usize >= MAX_LABELS || end > LABEL_BYTES {
            return None;
        }
        for (place, byte) in self.bytes[start..end].iter().zip(text.bytes()) {
            place.store(byte, Ordering::Relaxed);
        }
        self.ends[id as usize].store(end as u32, Ordering::Relaxed);
        self.count.store(id + 1, Ordering::Release);
        Some(id)
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    fn start(&self, id: u32) -> usize {
        id.checked_sub(1).map_or(0, |before| self.end(before))
    }

    fn end(&self, id: u32) -> usize {
        self.ends[id as usize].load(Ordering::Relaxed) as usize
    }
}
