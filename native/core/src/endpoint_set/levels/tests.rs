use super::*;
use proptest::prelude::*;

fn level(priority: u32, is_local: bool, zones: usize, all: u64, usable: u64) -> Strength {
    Strength {
        priority,
        is_local,
        zones,
        all,
        usable,
    }
}

fn assert_loads(strengths: &[Strength], expected: &[f64]) {
    let (loads, _) = loads(strengths);
    let close = loads
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(
        close && loads.len() == expected.len(),
        "{loads:?}, not {expected:?}"
    );
}

/// The table in Envoy's documentation, "Priority levels".
#[test]
fn priorities_share_as_envoys_do() {
    let two = |first, second| {
        [
            level(0, false, 1, 100, first),
            level(1, false, 1, 100, second),
        ]
    };
    for (usable, expected) in [
        ((100, 100), [1.0, 0.0]),
        ((72, 72), [1.0, 0.0]),
        ((71, 71), [0.994, 0.006]),
        ((50, 50), [0.7, 0.3]),
        ((25, 100), [0.35, 0.65]),
        ((25, 25), [0.5, 0.5]),
        ((0, 10), [0.0, 1.0]),
        ((0, 0), [0.0, 0.0]),
    ] {
        assert_loads(&two(usable.0, usable.1), &expected);
    }
}

#[test]
fn a_zone_carries_what_it_can() {
    let zone = |zones, local, remote| {
        let (all, usable) = local;
        let (others, usable_others) = remote;
        [
            level(0, true, zones, all, usable),
            level(0, false, zones, others, usable_others),
        ]
    };
    for (zones, local, remote, expected) in [
        // Its share of three zones, and all of it well.
        (3, (10, 10), (20, 20), 1.0),
        // 71 % of that are still enough, half is not.
        (3, (100, 72), (200, 200), 1.0),
        (3, (10, 5), (20, 20), 0.7),
        // One endpoint beside nine: 1.4 times its even share of what two zones ask, not everything.
        (2, (1, 1), (9, 9), 0.28),
        (2, (10, 0), (10, 10), 0.0),
        // Nobody else is left.
        (2, (10, 1), (10, 0), 1.0),
    ] {
        assert_loads(&zone(zones, local, remote), &[expected, 1.0 - expected]);
    }
}

#[test]
fn zones_divide_what_their_priority_has() {
    let strengths = [
        level(0, true, 2, 10, 5),
        level(0, false, 2, 10, 5),
        level(3, true, 2, 10, 10),
        level(3, false, 2, 10, 10),
    ];
    assert_loads(&strengths, &[0.7 * 0.7, 0.7 * 0.3, 0.3, 0.0]);
}

proptest! {
    /// Nothing is lost, nobody gets less than nothing, and a level without anybody gets nothing.
    #[test]
    fn all_requests_go_somewhere(
        parts in prop::collection::vec((1..100_u64, 0..=100_u64, 1..100_u64, 0..=100_u64), 1..4),
        zones in 2..5_usize,
    ) {
        let mut strengths = Vec::new();
        for (priority, &(local, usable, remote, usable_remote)) in parts.iter().enumerate() {
            let priority = priority as u32;
            strengths.push(level(priority, true, zones, local, usable * local / 100));
            strengths.push(level(priority, false, zones, remote, usable_remote * remote / 100));
        }
        let (loads, carried) = loads(&strengths);
        let sum: f64 = loads.iter().sum();
        prop_assert!(loads.iter().all(|load| (0.0..=1.0 + 1e-9).contains(load)), "{:?}", loads);
        let expected = if carried == 0.0 { 0.0 } else { 1.0 };
        prop_assert!((sum - expected).abs() < 1e-9);
        for (each, load) in strengths.iter().zip(&loads) {
            prop_assert!(each.usable != 0 || *load < 1e-9, "{:?} gets {}", each, load);
        }
    }
}
