//! Where the state of each endpoint lies, and the share of each part of a split: a place has an owner, known by the hash of its
//! name, for as long as a Plan names it or a worker holds it, and then goes to another one. So
//! endpoints may come and go for ever (a pod has a new address with each restart).
//!
//! One process at a time gives places out: the supervisor, and then the control process. A place
//! becomes free when it has not been wanted for a while and no worker holds it any more: then
//! nobody reads what lies there, and whoever gets it next finds it as new.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::labels::OTHER;

/// Enough for four services of the largest size that a balancer takes.
pub const MAX_PLACES: usize = 16_384;

/// What a place holds that nobody owns; zero, because fresh shared memory is.
const FREE: u64 = 0;

#[repr(C, align(64))]
pub struct PlaceTable<const SIZE: usize> {
    /// Goes up with each change of `owners`: a process with an older index reads them again.
    changes: AtomicU64,
    /// Owners that found no room.
    dropped: AtomicU64,
    owners: [AtomicU64; SIZE],
    /// When the owner was last named by a Plan.
    wanted_ms: [AtomicU64; SIZE],
}

/// What one process has read of the table.
#[derive(Default)]
pub struct PlaceIndex {
    places: HashMap<u64, u32>,
    /// The lowest last: places that were in use before are taken again first, and memory that was
    /// never touched stays so.
    free: Vec<u32>,
    /// Of the table, at the last look; None before the first.
    changes: Option<u64>,
}

impl<const SIZE: usize> PlaceTable<SIZE> {
    /// The place of `owner` (a hash, not 0), the same at every call while it is wanted. A new one is
    /// given a free place, after `clear` has made it as new. A full table answers with `OTHER`.
    pub fn place(
        &self,
        index: &mut PlaceIndex,
        owner: u64,
        now_ms: u64,
        clear: impl FnOnce(u32),
    ) -> u32 {
        self.catch_up(index);
        if let Some(&place) = index.places.get(&owner) {
            self.wanted_ms[place as usize].store(now_ms, Ordering::Relaxed);
            return place;
        }
        let Some(place) = index.free.pop() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return OTHER;
        };
        clear(place);
        self.wanted_ms[place as usize].store(now_ms, Ordering::Relaxed);
        index.places.insert(owner, place);
        self.set_owner(index, place, owner);
        place
    }

    /// Takes back what nobody has wanted for `grace_ms` and nobody holds; returns how many. `wanted`:
    /// the places that the Plan in force names. `is_held`: by a worker.
    pub fn sweep(
        &self,
        index: &mut PlaceIndex,
        wanted: &[u32],
        now_ms: u64,
        grace_ms: u64,
        is_held: impl Fn(u32) -> bool,
    ) -> usize {
        self.catch_up(index);
        for place in wanted {
            if let Some(wanted_ms) = self.wanted_ms.get(*place as usize) {
                wanted_ms.store(now_ms, Ordering::Relaxed);
            }
        }
        let is_over = |place: u32| {
            let wanted_ms = self.wanted_ms[place as usize].load(Ordering::Relaxed);
            // At least 1: what is wanted now stays, whatever the grace.
            now_ms.saturating_sub(wanted_ms) >= grace_ms.max(1) && !is_held(place)
        };
        let owned = index.places.iter().map(|(&owner, &place)| (owner, place));
        let over: Vec<(u64, u32)> = owned.filter(|&(_, place)| is_over(place)).collect();
        for &(owner, place) in &over {
            index.places.remove(&owner);
            self.set_owner(index, place, FREE);
        }
        index.free.extend(over.iter().map(|&(_, place)| place));
        index.free.sort_unstable_by(|a, b| b.cmp(a));
        over.len()
    }

    /// Places that have an owner.
    pub fn used(&self) -> u64 {
        let owners = self.owners.iter();
        let used = owners.filter(|owner| owner.load(Ordering::Relaxed) != FREE);
        used.count() as u64
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Another process may have written since: the supervisor and then the control process, and a
    /// control process that is started again has the supervisor's index of long ago.
    fn catch_up(&self, index: &mut PlaceIndex) {
        let changes = self.changes.load(Ordering::Acquire);
        if index.changes == Some(changes) {
            return;
        }
        index.places.clear();
        index.free.clear();
        for place in (OTHER + 1..SIZE as u32).rev() {
            match self.owners[place as usize].load(Ordering::Relaxed) {
                FREE => index.free.push(place),
                owner => drop(index.places.insert(owner, place)),
            }
        }
        index.changes = Some(changes);
    }

    /// One store says whose it is, so a writer that is killed leaves a place free or owned.
    fn set_owner(&self, index: &mut PlaceIndex, place: u32, owner: u64) {
        self.owners[place as usize].store(owner, Ordering::Release);
        let changes = self.changes.fetch_add(1, Ordering::Release) + 1;
        index.changes = Some(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const GRACE_MS: u64 = 100;

    fn table<const SIZE: usize>() -> PlaceTable<SIZE> {
        PlaceTable {
            changes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            owners: [const { AtomicU64::new(FREE) }; SIZE],
            wanted_ms: [const { AtomicU64::new(0) }; SIZE],
        }
    }

    #[test]
    fn far_more_owners_than_places_come_and_go() {
        let table = table::<8>();
        let mut index = PlaceIndex::default();
        let mut cleared = 0;
        for owner in 1..=10_000 {
            let now_ms = owner * GRACE_MS;
            let place = table.place(&mut index, owner, now_ms, |_| cleared += 1);
            assert_ne!(place, OTHER);
            table.sweep(&mut index, &[place], now_ms, GRACE_MS, |_| false);
        }
        assert_eq!(cleared, 10_000, "each found its place as new");
        assert_eq!((table.dropped(), table.used()), (0, 1));
    }

    #[test]
    fn a_full_table_answers_other_and_recovers() {
        let table = table::<3>();
        let mut index = PlaceIndex::default();
        let mut place = |owner, now_ms| table.place(&mut index, owner, now_ms, |_| ());
        assert_eq!([place(7, 0), place(8, 0), place(9, 0)], [1, 2, OTHER]);
        assert_eq!((place(7, 50), table.dropped()), (1, 1));
        assert_eq!(table.sweep(&mut index, &[], 100, GRACE_MS, |_| false), 1);
        assert_eq!(table.place(&mut index, 9, 100, |_| ()), 2);
    }

    #[test]
    fn what_a_worker_holds_stays() {
        let table = table::<4>();
        let mut index = PlaceIndex::default();
        let place = table.place(&mut index, 7, 0, |_| ());
        assert_eq!(
            table.sweep(&mut index, &[], 1_000, GRACE_MS, |held| held == place),
            0
        );
        let again = table.place(&mut index, 7, 1_000, |_| panic!("its state stays"));
        assert_eq!(again, place);
        assert_eq!(table.sweep(&mut index, &[], 1_099, GRACE_MS, |_| false), 0);
        assert_eq!(table.sweep(&mut index, &[], 1_100, GRACE_MS, |_| false), 1);
    }

    #[test]
    fn another_process_goes_on_where_one_has_died() {
        let table = table::<4>();
        let (mut first, mut second) = (PlaceIndex::default(), PlaceIndex::default());
        let stale = table.place(&mut second, 1, 0, |_| ());
        let place = table.place(&mut first, 2, 0, |_| ());
        table.sweep(&mut first, &[place], GRACE_MS, GRACE_MS, |_| false);
        assert_eq!(table.place(&mut second, 2, 200, |_| ()), place);
        assert_eq!(table.place(&mut second, 3, 200, |_| ()), stale);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Want(u64),
        Hold(u64),
        Release(u64),
        Sweep(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..12_u64).prop_map(Step::Want),
            (1..12_u64).prop_map(Step::Hold),
            (1..12_u64).prop_map(Step::Release),
            (0..150_u64).prop_map(Step::Sweep),
        ]
    }

    proptest! {
        /// Nobody shares a place, and nobody loses one that is wanted or held: beside a map.
        #[test]
        fn as_a_map(steps in prop::collection::vec(step(), 1..120)) {
            let table = table::<6>();
            let mut index = PlaceIndex::default();
            let mut model: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
            let mut held: BTreeSet<u64> = BTreeSet::new();
            let mut now_ms = 0;
            for step in steps {
                match step {
                    Step::Want(owner) => {
                        let place = table.place(&mut index, owner, now_ms, |_| ());
                        match model.get(&owner) {
                            Some(&(known, _)) => prop_assert_eq!(place, known),
                            None if model.len() == 5 => prop_assert_eq!(place, OTHER),
                            None => {
                                prop_assert!(place != OTHER);
                                prop_assert!(model.values().all(|&(taken, _)| taken != place));
                            }
                        }
                        if place != OTHER {
                            model.insert(owner, (place, now_ms));
                        }
                    }
                    Step::Hold(owner) => drop(model.contains_key(&owner) && held.insert(owner)),
                    Step::Release(owner) => drop(held.remove(&owner)),
                    Step::Sweep(elapsed_ms) => {
                        now_ms += elapsed_ms;
                        let places: BTreeSet<u32> = held.iter().map(|owner| model[owner].0).collect();
                        let is_held = |place: u32| places.contains(&place);
                        let freed = table.sweep(&mut index, &[], now_ms, GRACE_MS, is_held);
                        let before = model.len();
                        model.retain(|owner, (_, wanted_ms)| {
                            held.contains(owner) || now_ms - *wanted_ms < GRACE_MS
                        });
                        prop_assert_eq!(freed, before - model.len());
                    }
                }
                prop_assert_eq!(table.used(), model.len() as u64);
            }
        }
    }
}
