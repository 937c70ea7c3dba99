use super::*;
use crate::metrics::{index, METRICS_OVERFLOW, SERVICE, WORKER};
use proptest::prelude::*;
use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::collections::BTreeMap;
use std::ops::Deref;

const CELLS: usize = 1 << 12;

/// Zeroed memory, aligned as a map would be.
struct Memory {
    raw: *mut u8,
    base: *mut u8,
    layout: Layout,
}

impl Memory {
    fn for_workers(workers: usize) -> Self {
        // Aligned by hand: beyond 16 bytes the allocator would write its zeros, 170 MB of them,
        // where fresh pages are zero already.
        let size = Segment::size_for(workers, CELLS) + ALIGNMENT;
        let layout = Layout::from_size_align(size, 16).unwrap();
        // SAFETY: the size is not zero.
        let raw = unsafe { alloc_zeroed(layout) };
        // SAFETY: less than `ALIGNMENT` bytes further, of which there are as many more.
        let base = unsafe { raw.add(raw.align_offset(ALIGNMENT)) };
        Self { raw, base, layout }
    }

    fn size(&self) -> usize {
        self.layout.size() - ALIGNMENT
    }

    fn create(&self, workers: usize) -> Result<Segment, SegmentError> {
        // SAFETY: zeroed memory of this size, which each test keeps longer than its segments.
        unsafe { Segment::create(self.base, self.size(), workers, CELLS, [1, 2]) }
    }

    fn attach(&self, workers: usize) -> Result<Segment, SegmentError> {
        // SAFETY: as above.
        unsafe { Segment::attach(self.base, self.size(), workers) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.raw, self.layout) }
    }
}

/// A segment with its memory.
struct Owned(Segment, #[allow(dead_code)] Memory);

impl Deref for Owned {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        &self.0
    }
}

fn segment(workers: usize) -> Owned {
    let memory = Memory::for_workers(workers);
    Owned(memory.create(workers).unwrap(), memory)
}

/// One in which all ids below `count` are labels.
fn labelled(workers: usize, count: usize) -> Owned {
    let segment = segment(workers);
    (1..count).for_each(|id| assert_eq!(segment.intern(&format!("/{id}")), id as u32));
    segment
}

fn key(route: u32, status: u32) -> SeriesKey {
    SeriesKey {
        route,
        service: 7,
        method: 0,
        status,
    }
}

#[test]
fn layout_keeps_workers_on_their_own_cache_lines() {
    assert_eq!(size_of::<Header>() % ALIGNMENT, 0);
    assert_eq!(size_of::<LabelTable>() % ALIGNMENT, 0);
    assert_eq!(size_of::<Region>() % ALIGNMENT, 0);
    assert_eq!(align_of::<Region>(), ALIGNMENT);
    // What MAX_WORKERS says about a slot's size.
    assert!(size_of::<Region>() < 24 << 17, "{}", size_of::<Region>());
}

#[test]
fn attach_checks_what_it_finds() {
    let memory = Memory::for_workers(3);
    assert_eq!(memory.attach(3).err(), Some(SegmentError::NotASegment));
    assert_eq!(memory.create(0).err(), Some(SegmentError::Workers(0)));
    let small = memory.create(4).err();
    assert!(
        matches!(small, Some(SegmentError::TooSmall { .. })),
        "{small:?}"
    );
    let segment = memory.create(3).unwrap();
    assert_eq!(memory.create(3).err(), Some(SegmentError::InUse));
    assert!(memory.attach(3).is_ok());
    let other = memory.attach(2).err();
    assert!(
        matches!(other, Some(SegmentError::Shape { workers: 3, .. })),
        "{other:?}"
    );
    segment.header.layout_version.store(99, Ordering::Relaxed);
    assert_eq!(memory.attach(3).err(), Some(SegmentError::Version(99)));
    // SAFETY: refused before it is read.
    let shifted = unsafe { Segment::attach(memory.base.add(8), 1 << 30, 3) };
    assert!(matches!(shifted.err(), Some(SegmentError::Misaligned(_))));
}

#[test]
fn slots_end_with_the_control_process() {
    let segment = segment(2);
    assert!(segment.region(2).is_ok());
    let error = segment.region(3).err().unwrap();
    assert_eq!(
        error.to_string(),
        "segment: no slot 3; the workers have 0 to 1, the control process 2"
    );
}

#[test]
fn labels_are_the_same_in_every_view() {
    let memory = Memory::for_workers(1);
    let first = memory.create(1).unwrap();
    let second = memory.attach(1).unwrap();
    let id = first.intern("/identity/{path...}");
    assert_eq!(second.label(id), "/identity/{path...}");
    let next = second.intern("/ü");
    assert_ne!(next, id);
    assert_eq!(first.intern("/ü"), next);
    assert_eq!(first.intern("/identity/{path...}"), id);
    assert_eq!(
        (first.intern("other"), first.label(12_345)),
        (OTHER, "other".to_owned())
    );
    let empty = first.intern("");
    assert_eq!(
        (second.intern(""), second.label(empty)),
        (empty, String::new())
    );
}

#[test]
fn a_full_label_table_answers_other() {
    let by_count = segment(1);
    for id in 1..MAX_LABELS as u32 {
        assert_eq!(by_count.intern(&id.to_string()), id);
    }
    assert_eq!(by_count.intern("one more"), OTHER);
    assert_eq!(by_count.intern("77"), 77);
    assert_eq!(by_count.labels_dropped(), 1);

    let by_bytes = segment(1);
    let long = "x".repeat(LABEL_BYTES - "other".len());
    assert_eq!(by_bytes.intern(&format!("{long}x")), OTHER);
    let id = by_bytes.intern(&long);
    assert_eq!(by_bytes.label(id), long);
    assert_eq!(by_bytes.intern("y"), OTHER);
    assert_eq!(by_bytes.labels_dropped(), 2);
}

#[test]
fn a_label_that_its_writer_did_not_finish_is_written_over() {
    let segment = segment(1);
    let id = segment.intern("whole");
    // As if the writer of the next one had been killed before it raised the count.
    let dead = segment.intern("dead");
    segment.labels.set_count_for_test(dead);
    let mut index = LabelIndex::default();
    assert_eq!(segment.labels.intern(&mut index, "alive"), dead);
    assert_eq!(
        (segment.label(id), segment.label(dead)),
        ("whole".into(), "alive".into())
    );
}

#[test]
fn readers_see_only_whole_labels() {
    let owned = segment(1);
    let segment: &Segment = &owned;
    std::thread::scope(|scope| {
        scope.spawn(|| (1..8000).for_each(|id| assert_eq!(segment.intern(&format!("/{id}")), id)));
        for id in 1..8000 {
            let text = segment.label(id);
            assert!(text == "other" || text == format!("/{id}"), "{text}");
        }
    });
}

#[test]
fn slots_are_summed_and_generation_is_the_highest() {
    let segment = labelled(2, 10);
    let row = |name| index(&WORKER, name).unwrap();
    for (slot, generation) in [(0, 5), (1, 4), (2, 0)] {
        let region = segment.region(slot).unwrap();
        region.add(row("connections_active"), 3);
        region.add(row("connections_active"), -1);
        region.add_shared(row("connections_accepted_total"), 10);
        region.set(row("plan_generation"), generation);
        region.add(WORKER.len(), 1);
        region.service_add(9, 0, 2);
        region.service_add(9, SERVICE.len(), 1);
        region.observe(key(1, 200), 700_000);
        region.beat(100 + slot as u64);
    }
    segment.region(1).unwrap().reset_gauges();
    let snapshot = segment.collect();
    assert_eq!(snapshot.counters[row("connections_active")], 4);
    assert_eq!(snapshot.counters[row("connections_accepted_total")], 30);
    assert_eq!(snapshot.counters[row("plan_generation")], 5);
    assert_eq!(snapshot.services[&9][0], 6);
    assert_eq!(snapshot.series[&key(1, 200)].sum_ns, 2_100_000);
    assert_eq!(snapshot.series[&key(1, 200)].buckets[1], 3);
    assert_eq!(snapshot.heartbeats, [100, 101, 102]);
}

#[test]
fn reset_gauges_leaves_counters_and_reaches_services() {
    let segment = labelled(1, 4);
    let region = segment.region(0).unwrap();
    for row in 0..SERVICE.len() {
        region.service_add(3, row, 4);
    }
    for row in 0..WORKER.len() {
        region.add(row, 4);
    }
    region.reset_gauges();
    let snapshot = segment.collect();
    let expected = |metric: &crate::metrics::Metric| {
        if metric.kind == crate::metrics::Kind::Gauge {
            0
        } else {
            4
        }
    };
    assert_eq!(snapshot.counters, WORKER.each_ref().map(expected));
    assert_eq!(snapshot.services[&3], SERVICE.each_ref().map(expected));
}

#[test]
fn full_tables_count_under_other() {
    let segment = labelled(1, SERIES_LIMIT + 10);
    let region = segment.region(0).unwrap();
    for route in 0..SERIES_LIMIT as u32 + 10 {
        region.observe(key(route, 200), 1);
    }
    for label in 1..=SERVICES_LIMIT as u32 + 5 {
        region.service_add(label, 0, 1);
    }
    let snapshot = segment.collect();
    let other = SeriesKey {
        route: OTHER,
        service: OTHER,
        method: 7,
        status: 0,
    };
    assert_eq!(snapshot.series.len(), SERIES_LIMIT + 1);
    assert_eq!(snapshot.series[&other].count(), 10);
    assert_eq!(snapshot.services.len(), SERVICES_LIMIT + 1);
    assert_eq!(snapshot.services[&OTHER][0], 5);
    assert_eq!(snapshot.counters[METRICS_OVERFLOW], 15);
    // A series that has its place keeps it.
    region.observe(key(0, 200), 1);
    assert_eq!(segment.collect().series[&key(0, 200)].count(), 2);
}

#[test]
fn what_has_no_name_is_merged_into_other() {
    let segment = labelled(1, 8);
    let region = segment.region(0).unwrap();
    for unknown in [8, 9, 1 << 19] {
        region.observe(key(unknown, 200), 1);
        region.service_add(unknown, 0, 1);
    }
    for method in [7, 8, 99] {
        region.observe(
            SeriesKey {
                method,
                ..key(1, 404)
            },
            1,
        );
    }
    let snapshot = segment.collect();
    assert_eq!(snapshot.series[&key(OTHER, 200)].count(), 3);
    assert_eq!(snapshot.services[&OTHER][0], 3);
    assert_eq!(
        snapshot.series[&SeriesKey {
            method: 7,
            ..key(1, 404)
        }]
            .count(),
        3
    );
    assert_eq!(snapshot.series.len(), 2);
}

proptest! {
    #[test]
    fn counts_what_a_map_counts(observations in prop::collection::vec(
        (0..2_usize, 0..500_u32, 0..4_u32, 0..8_u32, 100..600_u32, 0..20_000_000_000_u64),
        1..200,
    )) {
        let segment = labelled(2, 500);
        let mut model: BTreeMap<SeriesKey, Series> = BTreeMap::new();
        for (slot, route, service, method, status, duration) in observations {
            let key = SeriesKey { route, service, method, status };
            segment.region(slot).unwrap().observe(key, duration);
            let series = model.entry(key).or_default();
            series.buckets[crate::metrics::bucket(duration)] += 1;
            series.sum_ns += duration;
        }
        prop_assert_eq!(segment.collect().series, model);
    }
}

mod revocations {
    use super::*;
    use std::collections::HashMap;

    const NOW: u64 = 1_000;

    #[test]
    fn what_was_issued_before_is_refused_and_what_comes_after_is_not() {
        let memory = Memory::for_workers(1);
        let segment = memory.create(1).unwrap();
        let table = segment.revocations();
        let hash = segment.hash_key().hash(b"ada");
        assert!(!table.is_revoked(RevocationKind::User, hash, 0));
        let epoch = table.epoch();
        table.revoke(RevocationKind::User, hash, NOW, NOW + 900, NOW);
        assert!(table.epoch() > epoch);
        assert!(table.is_revoked(RevocationKind::User, hash, NOW - 1));
        assert!(!table.is_revoked(RevocationKind::User, hash, NOW));
        assert!(!table.is_revoked(RevocationKind::Client, hash, NOW - 1));
        // An earlier one takes nothing back.
        table.revoke(RevocationKind::User, hash, NOW - 10, NOW, NOW);
        assert!(table.is_revoked(RevocationKind::User, hash, NOW - 1));
    }

    #[test]
    fn entries_whose_time_is_over_give_way() {
        let memory = Memory::for_workers(1);
        let segment = memory.create(1).unwrap();
        let table = segment.revocations();
        for round in 0..100_u64 {
            for low in 0..7 {
                // One bucket: the high bits of all tags are alike.
                let (now, hash) = (NOW + round * 10, 0x1000 + round * 7 + low);
                table.revoke(RevocationKind::Key, hash, u64::MAX, now + 10, now);
                assert!(table.is_revoked(RevocationKind::Key, hash, now));
            }
        }
        assert_eq!(table.spilled(), 0);
    }

    #[test]
    fn a_full_bucket_refuses_too_much_and_not_for_good() {
        let memory = Memory::for_workers(1);
        let segment = memory.create(1).unwrap();
        let table = segment.revocations();
        for hash in 1..=8 {
            table.revoke(RevocationKind::Session, hash, u64::MAX, NOW + 900, NOW);
        }
        assert_eq!(table.spilled(), 1);
        assert!(table.is_revoked(RevocationKind::Session, 8, NOW));
        assert!(table.is_revoked(RevocationKind::Session, 9, NOW));
        assert!(!table.is_revoked(RevocationKind::Session, 9, NOW + 1));
    }

    proptest! {
        /// Never one too few: beside a map.
        #[test]
        fn as_a_map(
            steps in proptest::collection::vec((0_usize..4, 0_u8..20, 0_u64..50, any::<bool>()), 0..100)
        ) {
            let memory = Memory::for_workers(1);
            let segment = memory.create(1).unwrap();
            let table = segment.revocations();
            let mut model: HashMap<(usize, u8), u64> = HashMap::new();
            for (kind, name, time, is_revocation) in steps {
                let hash = segment.hash_key().hash(&[name]);
                let entry = model.entry((kind, name)).or_default();
                if is_revocation {
                    table.revoke(RevocationKind::ALL[kind], hash, time, u64::MAX, 0);
                    *entry = time.max(*entry);
                }
                let refused = table.is_revoked(RevocationKind::ALL[kind], hash, time);
                prop_assert_eq!(refused, time < *entry);
            }
        }
    }
}
