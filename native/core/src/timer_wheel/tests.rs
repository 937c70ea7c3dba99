use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn advance(wheel: &mut TimerWheel, now_ms: u64) -> Vec<u32> {
    let mut all = Vec::new();
    let mut due = [0; 3];
    loop {
        let fired = wheel.advance(now_ms, &mut due);
        all.extend(&due[..fired]);
        if fired < due.len() {
            all.sort_unstable();
            return all;
        }
    }
}

#[test]
fn fires_with_the_first_tick_that_begins_at_or_after_the_due_time() {
    let mut wheel = TimerWheel::new(1000);
    let exact = wheel.insert(1200);
    let late = wheel.insert(1201);
    assert_eq!(advance(&mut wheel, 1199), []);
    assert_eq!(advance(&mut wheel, 1200), [exact]);
    assert_eq!(advance(&mut wheel, 1299), []);
    assert_eq!(advance(&mut wheel, 1300), [late]);
    assert_eq!(advance(&mut wheel, 10 * DAY_MS), []);
}

#[test]
fn already_due_fires_with_the_next_tick_and_not_in_the_same_advance() {
    let mut wheel = TimerWheel::new(1000);
    let entry = wheel.insert(0);
    assert_eq!(advance(&mut wheel, 1099), []);
    assert_eq!(advance(&mut wheel, 1100), [entry]);
    assert!(wheel.update(entry, 0));
    assert_eq!(advance(&mut wheel, 1100), []);
    assert_eq!(advance(&mut wheel, 1200), [entry]);
}

#[test]
fn an_update_counts_while_its_entry_waits_to_be_handed_out() {
    let mut wheel = TimerWheel::new(0);
    let entries = [wheel.insert(100), wheel.insert(100), wheel.insert(100)];
    let mut due = [0; 1];
    assert_eq!(wheel.advance(100, &mut due), 1);
    let waiting: Vec<u32> = entries.into_iter().filter(|e| *e != due[0]).collect();
    assert!(wheel.update(waiting[0], 500));
    assert!(wheel.remove(waiting[1]));
    assert_eq!(advance(&mut wheel, 400), []);
    assert_eq!(advance(&mut wheel, 500), [waiting[0]]);
}

#[test]
fn handles_are_reused_and_dead_ones_are_refused() {
    let mut wheel = TimerWheel::new(0);
    let first = wheel.insert(100);
    assert!(wheel.remove(first));
    assert!(!wheel.remove(first));
    assert!(!wheel.update(first, 100));
    assert!(!wheel.contains(0), "a list head is no entry");
    assert!(!wheel.update(u32::MAX, 100));
    assert_eq!(wheel.insert(100), first);
    assert_eq!(advance(&mut wheel, 100), [first]);
}

#[test]
fn every_level_and_beyond_the_last() {
    // 64^k ticks around each boundary, and past one turn of the coarsest wheel.
    for start in [0, 6_350, 409_599, 1_677_721_599, 3 * DAY_MS + 17] {
        for distance in [
            1, 63, 64, 65, 4095, 4096, 4097, 262_144, 16_777_215, 40_000_000,
        ] {
            let mut wheel = TimerWheel::new(start);
            let due = start + distance * TICK_MS;
            let entry = wheel.insert(due);
            let mut now = start;
            // Steps short enough to turn tick by tick, where that ends within the test's time.
            while distance < 300_000 && now + 50 * TICK_MS < due {
                now += 50 * TICK_MS;
                assert_eq!(advance(&mut wheel, now), [], "early by {}", due - now);
            }
            assert_eq!(advance(&mut wheel, due - 1), []);
            assert_eq!(advance(&mut wheel, due.next_multiple_of(TICK_MS)), [entry]);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Update(prop::sample::Index, u64),
    Remove(prop::sample::Index),
    Advance(u64),
}

fn delay_ms() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_000_u64, 0..100_000_u64, 0..DAY_MS, 0..40 * DAY_MS]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        delay_ms().prop_map(Step::Insert),
        (any::<prop::sample::Index>(), delay_ms()).prop_map(|(i, d)| Step::Update(i, d)),
        any::<prop::sample::Index>().prop_map(Step::Remove),
        prop_oneof![0..300_u64, 0..8_000_u64, delay_ms()].prop_map(Step::Advance),
    ]
}

/// The rule itself: when the entry is to fire, as a tick.
fn fire_tick(due_ms: u64, now_ms: u64) -> u64 {
    due_ms.div_ceil(TICK_MS).max(now_ms / TICK_MS + 1)
}

proptest! {
    #[test]
    fn agrees_with_a_map_of_due_ticks(
        start in 0..50 * DAY_MS, steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut now = start;
        let mut wheel = TimerWheel::new(now);
        let mut model: BTreeMap<u32, Option<u64>> = BTreeMap::new();
        let key = |model: &BTreeMap<u32, Option<u64>>, index: prop::sample::Index| {
            (!model.is_empty()).then(|| *index.get(&model.keys().copied().collect::<Vec<_>>()))
        };
        for step in steps {
            match step {
                Step::Insert(delay) => {
                    let due = (now + delay).saturating_sub(500);
                    let entry = wheel.insert(due);
                    prop_assert!(model.insert(entry, Some(fire_tick(due, now))).is_none());
                }
                Step::Update(index, delay) => if let Some(entry) = key(&model, index) {
                    prop_assert!(wheel.update(entry, now + delay));
                    model.insert(entry, Some(fire_tick(now + delay, now)));
                },
                Step::Remove(index) => if let Some(entry) = key(&model, index) {
                    prop_assert!(wheel.remove(entry));
                    model.remove(&entry);
                },
                Step::Advance(by) => {
                    now += by;
                    let expected: Vec<u32> = model.iter()
                        .filter(|(_, tick)| tick.is_some_and(|tick| tick <= now / TICK_MS))
                        .map(|(entry, _)| *entry).collect();
                    prop_assert_eq!(advance(&mut wheel, now), expected.clone());
                    for entry in expected {
                        model.insert(entry, None);
                    }
                }
            }
        }
    }
}
