//! What all processes of an instance share: a memory segment of counters that each worker writes in
//! its own slot and that anyone may sum, and the table of labels that name what is counted.
//!
//! The supervisor maps the memory before it forks, so every process inherits it. It holds atomics
//! only and no locks: a writer may be killed between any two instructions and leaves it valid.
//!
//! ```text
//! | header | labels | places | revocations | upstreams | limits | slot 0 | ... | slot of the control process |
//! ```
//!
//! This is the one file of the crate with `unsafe`: it lays the structures over the memory. All that
//! works with them is safe code.
#![allow(unsafe_code)]

mod key_table;
mod labels;
mod places;
mod region;
mod revocations;
mod snapshot;
mod upstreams;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use labels::{LABEL_BYTES, MAX_LABELS, OTHER};
pub use places::MAX_PLACES;
pub use region::{Region, SeriesKey, SERIES_LIMIT, SERVICES_LIMIT};
pub use revocations::{Kind as RevocationKind, Revocations, REVOCATIONS_ROOM};
pub use snapshot::{Series, Snapshot};

use crate::breaker::BreakerCell;
use crate::endpoint::EndpointCell;
use labels::{LabelIndex, LabelTable};
use places::{PlaceIndex, PlaceTable};
pub use upstreams::Upstreams;

use crate::keyed_hash::HashKey;
use crate::limiter::{Cell, CellTable, InFlight, Tally};

/// "gwsegmnt" in memory, on a little-endian machine.
const MAGIC: u64 = u64::from_le_bytes(*b"gwsegmnt");
/// Goes up with every change of layout, the order of the metric tables included.
const LAYOUT_VERSION: u32 = 9;
/// Bytes; that of a cache line, so that no two workers write to one.
pub const ALIGNMENT: usize = 64;
/// So many that a search does not leave the table, and fewer than would be of use.
const MIN_CELLS: usize = 1 << 10;
/// A bound against nonsense: 4 GiB of address space.
const MAX_CELLS: usize = 1 << 26;
/// A bound against nonsense; a slot takes 2.4 MiB of address space.
pub const MAX_WORKERS: usize = 1024;

#[repr(C, align(64))]
struct Header {
    /// Written last, when the rest is in place.
    magic: AtomicU64,
    layout_version: AtomicU32,
    slots: AtomicU32,
    size: AtomicU64,
    /// Of the limits' table.
    cells: AtomicU64,
    /// Key of every hash that processes compare; written before `magic`, never changed.
    secret: [AtomicU64; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentError {
    Workers(usize),
    Cells(usize),
    Misaligned(usize),
    TooSmall {
        size: usize,
        needed: usize,
    },
    InUse,
    NotASegment,
    Version(u32),
    Shape {
        workers: u32,
        size: u64,
        expected: usize,
    },
    NoSuchSlot {
        slot: usize,
        slots: usize,
    },
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workers(workers) => write!(
                f,
                "segment: {workers} workers; it takes 1 to {MAX_WORKERS}"
            ),
            Self::Cells(cells) => write!(
                f,
                "segment: {cells} cells; it takes a power of two from {MIN_CELLS} to {MAX_CELLS}"
            ),
            Self::Misaligned(address) => write!(
                f,
                "segment: the buffer at {address:#x} is not aligned to {ALIGNMENT} bytes; use mmap"
            ),
            Self::TooSmall { size, needed } => write!(
                f,
                "segment: the buffer has {size} bytes and {needed} are needed; map size_for(workers, cells)"
            ),
            Self::InUse => write!(
                f,
                "segment: the buffer is not empty; create a segment in fresh, zeroed memory, \
                 or attach to the one that is there (create=False)"
            ),
            Self::NotASegment => write!(
                f,
                "segment: no segment in this buffer; its owner has to create one first (create=True)"
            ),
            Self::Version(found) => write!(
                f,
                "segment: layout version {found}, this build has {LAYOUT_VERSION}; \
                 restart all processes with the same build"
            ),
            Self::Shape { workers, size, expected } => write!(
                f,
                "segment: made for {workers} workers with {size} bytes, {expected} bytes are \
                 expected; attach with the number of workers that it was created for"
            ),
            Self::NoSuchSlot { slot, slots } => write!(
                f,
                "segment: no slot {slot}; the workers have 0 to {}, the control process {}",
                slots - 2,
                slots - 1
            ),
        }
    }
}

impl std::error::Error for SegmentError {}

/// A view of the shared memory. Processes hold one each; threads may share one.
pub struct Segment {
    header: &'static Header,
    labels: &'static LabelTable,
    places: &'static PlaceTable<MAX_PLACES>,
    upstreams: &'static Upstreams,
    revocations: &'static Revocations,
    tally: &'static Tally,
    cells: &'static [Cell],
    regions: &'static [Region],
    key: HashKey,
    /// What this process has read of the label table, to find a text without a scan.
    index: Mutex<LabelIndex>,
    /// … and of the places.
    place_index: Mutex<PlaceIndex>,
}

impl Segment {
    /// Bytes for `workers` slots and that of the control process, and `cells` for limits. Pages that
    /// are never written take no memory.
    pub const fn size_for(workers: usize, cells: usize) -> usize {
        let shared = size_of::<Header>()
            + size_of::<LabelTable>()
            + size_of::<PlaceTable<MAX_PLACES>>()
            + size_of::<Revocations>()
            + size_of::<Upstreams>()
            + size_of::<Tally>()
            + cells * size_of::<Cell>();
        shared + (workers + 1) * size_of::<Region>()
    }

    /// Makes a segment in fresh memory. `cells`: a power of two. `secret`: random, and known to nobody else.
    ///
    /// # Safety
    /// `base` points to `length` bytes that are zero, may be read and written, and stay mapped
    /// while this value or a pointer from it is in use; nothing else writes to them, except other
    /// `Segment`s over the same memory.
    pub unsafe fn create(
        base: *mut u8,
        length: usize,
        workers: usize,
        cells: usize,
        secret: [u64; 2],
    ) -> Result<Self, SegmentError> {
        // SAFETY: as for this function.
        let mut segment = unsafe { Self::lay_over(base, length, workers, cells)? };
        let header = segment.header;
        if header.magic.load(Ordering::Acquire) != 0 {
            return Err(SegmentError::InUse);
        }
        for (word, value) in header.secret.iter().zip(secret) {
            word.store(value, Ordering::Relaxed);
        }
        segment.key = HashKey(secret);
        segment.intern("other");
        let (slots, size) = (segment.regions.len(), Self::size_for(workers, cells));
        header
            .layout_version
            .store(LAYOUT_VERSION, Ordering::Relaxed);
        header.slots.store(slots as u32, Ordering::Relaxed);
        header.size.store(size as u64, Ordering::Relaxed);
        header.cells.store(cells as u64, Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release);
        Ok(segment)
    }

    /// Opens the segment that another `Segment` has made in this memory.
    ///
    /// # Safety
    /// As for `create`, but for the zeros: what is there is checked.
    pub unsafe fn attach(
        base: *mut u8,
        length: usize,
        workers: usize,
    ) -> Result<Self, SegmentError> {
        // SAFETY: as for this function.
        let header = unsafe { Self::header_in(base, length, workers)? };
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(SegmentError::NotASegment);
        }
        let version = header.layout_version.load(Ordering::Relaxed);
        if version != LAYOUT_VERSION {
            return Err(SegmentError::Version(version));
        }
        let slots = header.slots.load(Ordering::Relaxed);
        let size = header.size.load(Ordering::Relaxed);
        let cells = header.cells.load(Ordering::Relaxed) as usize;
        let expected = Self::size_for(workers, cells);
        if size != expected as u64 || slots as usize != workers + 1 {
            let workers = slots.saturating_sub(1);
            return Err(SegmentError::Shape {
                workers,
                size,
                expected,
            });
        }
        // SAFETY: as for this function.
        let mut segment = unsafe { Self::lay_over(base, length, workers, cells)? };
        let [k0, k1] = &header.secret;
        segment.key = HashKey([k0.load(Ordering::Relaxed), k1.load(Ordering::Relaxed)]);
        Ok(segment)
    }

    /// # Safety
    /// As for `attach`.
    unsafe fn header_in(
        base: *mut u8,
        length: usize,
        workers: usize,
    ) -> Result<&'static Header, SegmentError> {
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(SegmentError::Workers(workers));
        }
        if base.align_offset(ALIGNMENT) != 0 {
            return Err(SegmentError::Misaligned(base as usize));
        }
        let needed = Self::size_for(workers, MIN_CELLS);
        if length < needed {
            return Err(SegmentError::TooSmall {
                size: length,
                needed,
            });
        }
        // SAFETY: aligned and large enough, as just checked; it consists of atomics.
        Ok(unsafe { &*base.cast::<Header>() })
    }

    /// # Safety
    /// As for `attach`.
    unsafe fn lay_over(
        base: *mut u8,
        length: usize,
        workers: usize,
        cells: usize,
    ) -> Result<Self, SegmentError> {
        if !cells.is_power_of_two() || !(MIN_CELLS..=MAX_CELLS).contains(&cells) {
            return Err(SegmentError::Cells(cells));
        }
        // SAFETY: as for this function.
        let header = unsafe { Self::header_in(base, length, workers)? };
        let needed = Self::size_for(workers, cells);
        if length < needed {
            return Err(SegmentError::TooSmall {
                size: length,
                needed,
            });
        }
        // SAFETY: aligned and large enough, as just checked; the sizes of the structures are
        // multiples of their alignment (64), so each begins aligned. They consist of atomics, for
        // which every bit pattern is valid, and which other processes may change at any time.
        // 'static: the caller keeps the memory mapped for as long as the segment is used.
        unsafe {
            let labels = base.add(size_of::<Header>());
            let places = labels.add(size_of::<LabelTable>());
            let revocations = places.add(size_of::<PlaceTable<MAX_PLACES>>());
            let upstreams = revocations.add(size_of::<Revocations>());
            let tally = upstreams.add(size_of::<Upstreams>());
            let table = tally.add(size_of::<Tally>());
            let regions = table.add(cells * size_of::<Cell>());
            Ok(Self {
                header,
                labels: &*labels.cast::<LabelTable>(),
                places: &*places.cast::<PlaceTable<MAX_PLACES>>(),
                revocations: &*revocations.cast::<Revocations>(),
                upstreams: &*upstreams.cast::<Upstreams>(),
                tally: &*tally.cast::<Tally>(),
                cells: std::slice::from_raw_parts(table.cast::<Cell>(), cells),
                regions: std::slice::from_raw_parts(regions.cast::<Region>(), workers + 1),
                key: HashKey([0, 0]),
                index: Mutex::default(),
                place_index: Mutex::default(),
            })
        }
    }

    /// The part that one process writes: 0 to workers - 1, then that of the control process.
    pub fn region(&self, slot: usize) -> Result<&'static Region, SegmentError> {
        let slots = self.regions.len();
        self.regions
            .get(slot)
            .ok_or(SegmentError::NoSuchSlot { slot, slots })
    }

    pub fn regions(&self) -> &'static [Region] {
        self.regions
    }

    /// What is known of the endpoint at this place, in all processes.
    pub fn endpoint(&self, place: u32) -> &'static EndpointCell {
        self.upstreams.endpoint(place)
    }

    /// The breaker of the service with this label, in all processes.
    pub fn breaker(&self, label: u32) -> &'static BreakerCell {
        self.upstreams.breaker(label)
    }

    /// What all processes know of services and endpoints.
    pub fn upstreams(&self) -> &Upstreams {
        self.upstreams
    }

    /// Requests in flight at the endpoint at this place, in all workers.
    pub fn in_flight(&self, place: u32) -> u64 {
        let counts = self.regions.iter().map(|region| region.in_flight(place));
        counts.map(u64::from).sum()
    }

    /// The place of what is called `name`: an endpoint or a part of a split. The same for as long as `sweep`
    /// finds it wanted, and new to each owner. One process at a time may call this. When all are
    /// taken the answer is `OTHER`.
    pub fn place(&self, name: &str, now_ms: u64) -> u32 {
        let mut index = self
            .place_index
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let owner = self.key.hash(name.as_bytes());
        let clear = |place| self.upstreams.clear(place);
        self.places.place(&mut index, owner, now_ms, clear)
    }

    /// Frees the places that were not wanted for `grace_ms` and that no worker holds; returns how
    /// many. `wanted`: those that the Plan in force names.
    pub fn sweep(&self, wanted: &[u32], now_ms: u64, grace_ms: u64) -> usize {
        let mut index = self
            .place_index
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_held = |place| self.regions.iter().any(|region| region.is_held(place));
        self.places
            .sweep(&mut index, wanted, now_ms, grace_ms, is_held)
    }

    /// Places in use, and how often there was none.
    pub fn places(&self) -> (u64, u64) {
        (self.places.used(), self.places.dropped())
    }

    /// The id of `text`, which stays the same for the life of the segment. One process at a time
    /// may call this. A full table answers with `OTHER`.
    pub fn intern(&self, text: &str) -> u32 {
        // A panic elsewhere leaves the index as it was: it only ever gains complete entries.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        self.labels.intern(&mut index, text)
    }

    /// The text of an id; "other" for an id that was never given out.
    pub fn label(&self, id: u32) -> String {
        self.labels.text(id)
    }

    pub fn revocations(&self) -> &Revocations {
        self.revocations
    }

    /// The state of all limits.
    pub fn limits(&self) -> CellTable<'_> {
        CellTable::new(self.cells, self.tally)
    }

    /// The requests of a key that are under way.
    pub fn under_way(&self) -> InFlight<'_, impl Iterator<Item = u64> + Clone + '_> {
        InFlight {
            table: self.limits(),
            lives: self.regions.iter().map(Region::life),
        }
    }

    /// The key of this instance's hashes.
    pub fn hash_key(&self) -> HashKey {
        self.key
    }

    pub fn labels_dropped(&self) -> u64 {
        self.labels.dropped()
    }

    /// All slots summed.
    pub fn collect(&self) -> Snapshot {
        Snapshot::of(self)
    }
}

#[cfg(test)]
mod tests;
