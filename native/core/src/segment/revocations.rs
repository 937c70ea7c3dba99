//! Which sessions, users, clients and keys are no longer believed, for all workers at once.
//!
//! One process writes, every worker reads. `epoch` goes up with each entry, so that a worker that has
//! found a caller unrevoked looks again only when something has been revoked since: a request costs
//! one load.
//!
//! A table of buckets; the (keyed) hash of a name says which. When a bucket is full, everything that
//! falls into it and was issued up to now is refused: a name too many, never one too few.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

const BUCKET_BITS: u32 = 15;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// With the mark of the bucket itself, two cache lines.
const WAYS: usize = 7;
/// Entries that the table has room for. At half of them, one bucket in forty has spilled.
pub const REVOCATIONS_ROOM: usize = BUCKETS * WAYS;

/// What a name is the name of. The same text may name a user and a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Session,
    User,
    Client,
    Key,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Session, Kind::User, Kind::Client, Kind::Key];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Session => "session",
            Kind::User => "user",
            Kind::Client => "client",
            Kind::Key => "key",
        }
    }

    /// Another hash for each kind of one name; never 0. `hash` is not guessable, so adding is enough.
    #[inline]
    fn tag(self, hash: u64) -> u64 {
        hash.wrapping_add((self as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .max(1)
    }
}

/// Seconds of Unix time, both of them: issued before `before` is refused, and nobody need be told
/// any more from `until` on, since what it concerns has expired.
#[derive(Clone, Copy)]
struct Mark {
    before: u32,
    until: u32,
}

impl Mark {
    fn pack(self) -> u64 {
        u64::from(self.before) << 32 | u64::from(self.until)
    }

    fn unpack(word: u64) -> Self {
        Self {
            before: (word >> 32) as u32,
            until: word as u32,
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            before: self.before.max(other.before),
            until: self.until.max(other.until),
        }
    }
}

#[repr(C, align(64))]
struct Bucket {
    tags: [AtomicU64; WAYS],
    marks: [AtomicU64; WAYS],
    /// For what found no room.
    all: AtomicU64,
}

#[repr(C, align(64))]
pub struct Revocations {
    epoch: AtomicU64,
    /// Entries that found no room; each refuses more than it should.
    spilled: AtomicU64,
    buckets: [Bucket; BUCKETS],
}

/// Years beyond 2106 do not fit, and mean "for good".
fn seconds(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

impl Revocations {
    /// How many there have been.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// From now on, what was issued to this name before `before_s` is refused. `hash` is the name's
    /// under the segment's secret. One process at a time may call this.
    pub fn revoke(&self, kind: Kind, hash: u64, before_s: u64, until_s: u64, now_s: u64) {
        let tag = kind.tag(hash);
        let bucket = self.bucket(tag);
        let mark = Mark {
            before: seconds(before_s),
            until: seconds(until_s),
        };
        match bucket.place(tag, seconds(now_s)) {
            Some(at) => bucket.write(at, tag, mark),
            None => {
                // Not `before_s`, which may be "for good": that would lock out those who come later.
                let before = mark.before.min(seconds(now_s).saturating_add(1));
                let all = Mark::unpack(bucket.all.load(Ordering::Relaxed));
                let joined = all.join(Mark { before, ..mark });
                bucket.all.store(joined.pack(), Ordering::Relaxed);
                self.spilled.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Release: who sees the new epoch sees the entry.
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// Whether what was issued at `issued_s` to this name is refused.
    pub fn is_revoked(&self, kind: Kind, hash: u64, issued_s: u64) -> bool {
        let tag = kind.tag(hash);
        let bucket = self.bucket(tag);
        let issued = seconds(issued_s);
        let is_after =
            |word: &AtomicU64| issued < Mark::unpack(word.load(Ordering::Relaxed)).before;
        let mut entries = bucket.tags.iter().zip(&bucket.marks);
        is_after(&bucket.all)
            || entries.any(|(found, mark)| found.load(Ordering::Acquire) == tag && is_after(mark))
    }

    fn bucket(&self, tag: u64) -> &Bucket {
        &self.buckets[(tag >> (64 - BUCKET_BITS)) as usize]
    }
}

impl Bucket {
    /// The way that has the tag, else one that is free, else one whose time is over.
    fn place(&self, tag: u64, now: u32) -> Option<usize> {
        let ways = || self.tags.iter().map(|found| found.load(Ordering::Relaxed));
        let is_over = |at: &usize| {
            ways().nth(*at) == Some(0)
                || Mark::unpack(self.marks[*at].load(Ordering::Relaxed)).until <= now
        };
        ways()
            .position(|found| found == tag)
            .or_else(|| (0..WAYS).find(is_over))
    }

    fn write(&self, at: usize, tag: u64, mark: Mark) {
        let mut mark = mark;
        if self.tags[at].load(Ordering::Relaxed) == tag {
            mark = mark.join(Mark::unpack(self.marks[at].load(Ordering::Relaxed)));
        } else {
            // A reader must not take the new mark for one of the name that was here.
            self.tags[at].store(0, Ordering::Relaxed);
        }
        self.marks[at].store(mark.pack(), Ordering::Release);
        self.tags[at].store(tag, Ordering::Release);
    }
}
