use super::weighted_round_robin::MAX_SCHEDULE;
use super::*;
use proptest::prelude::*;

/// Endpoints of which a list says everything.
#[derive(Default)]
struct Stub {
    refusing: Vec<usize>,
    in_flight: Vec<u64>,
    latency_us: Vec<f64>,
}

impl Endpoints for Stub {
    fn accepts(&self, index: usize, _random: u64) -> bool {
        self.accepts_hashed(index)
    }

    fn accepts_hashed(&self, index: usize) -> bool {
        !self.refusing.contains(&index)
    }

    fn in_flight(&self, index: usize) -> u64 {
        self.in_flight.get(index).copied().unwrap_or_default()
    }

    fn total_in_flight(&self) -> u64 {
        self.in_flight.iter().sum()
    }

    fn latency_us(&self, index: usize) -> f64 {
        self.latency_us.get(index).copied().unwrap_or_default()
    }
}

fn build(kind: Kind, weights: &[u32], seed: u64, max_load_percent: u32) -> Balancer {
    let keys: Vec<u64> = (0..weights.len() as u64).map(mix).collect();
    let members = Members {
        weights,
        keys: &keys,
        max_load_percent,
        seed,
    };
    Balancer::new(kind, members).unwrap()
}

fn round_robin(weights: &[u32], seed: u64) -> Balancer {
    build(Kind::WeightedRoundRobin, weights, seed, 0)
}

fn random(weights: &[u32]) -> Balancer {
    build(Kind::WeightedRandom, weights, 0, 0)
}

fn hashing(weights: &[u32], max_load_percent: u32) -> Balancer {
    build(Kind::ConsistentHash, weights, 0, max_load_percent)
}

fn pick_among(balancer: &Balancer, bits: u64, endpoints: &Stub) -> Option<usize> {
    let pick = Pick {
        random: bits,
        hash: bits,
        again: false,
    };
    balancer.pick(pick, endpoints)
}

fn pick(balancer: &Balancer, bits: u64) -> usize {
    pick_among(balancer, bits, &Stub::default()).unwrap()
}

fn picks(balancer: &Balancer, count: usize) -> Vec<usize> {
    (0..count).map(|_| pick(balancer, 0)).collect()
}

#[test]
fn round_robin_is_smooth() {
    assert_eq!(
        picks(&round_robin(&[5, 1, 1], 0), 14),
        [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]
    );
}

#[test]
fn another_attempt_takes_no_turn() {
    let balancer = round_robin(&[1, 1], 0);
    let again = Pick {
        random: 5,
        again: true,
        ..Pick::default()
    };
    assert_eq!(pick(&balancer, 0), 0);
    assert_eq!(balancer.pick(again, &Stub::default()), Some(1));
    assert_eq!(pick(&balancer, 0), 1);
}

#[test]
fn seed_is_where_the_schedule_begins() {
    assert_eq!(picks(&round_robin(&[5, 1, 1], 2), 5), [1, 0, 2, 0, 0]);
    // The cursor may wrap around.
    assert_eq!(picks(&round_robin(&[1, 1], u64::MAX), 3), [1, 0, 1]);
}

#[test]
fn weight_zero_is_not_picked_unless_all_are() {
    assert_eq!(picks(&round_robin(&[0, 3, 0], 0), 3), [1, 1, 1]);
    assert_eq!(picks(&round_robin(&[0, 0, 0], 0), 3), [0, 1, 2]);
    let chosen: Vec<usize> = (0..3).map(|i| pick(&random(&[0, 0, 0]), i << 62)).collect();
    assert_eq!(chosen, [0, 0, 1]);
}

#[test]
fn oversized_weights_are_scaled_and_keep_their_order() {
    let weights = [u32::MAX, u32::MAX / 3, 1];
    let balancer = round_robin(&weights, 0);
    let mut counts = [0_usize; 3];
    for index in picks(&balancer, MAX_SCHEDULE) {
        counts[index] += 1;
    }
    assert!((counts[0] as f64 / counts[1] as f64 - 3.0).abs() < 0.001);
    assert!(counts[2] >= 1, "an endpoint with a weight is always served");
}

#[test]
fn many_endpoints_with_awkward_weights_are_all_served() {
    let weights: Vec<u32> = (0..500).map(|i| i * 7919 + 1).collect();
    let balancer = round_robin(&weights, 0);
    let mut seen = vec![false; weights.len()];
    for index in picks(&balancer, MAX_SCHEDULE) {
        seen[index] = true;
    }
    assert!(seen.iter().all(|&picked| picked));
}

#[test]
fn errors_say_what_to_do() {
    let error = |weights: &[u32], keys: &[u64]| {
        let members = Members {
            weights,
            keys,
            max_load_percent: 0,
            seed: 0,
        };
        Balancer::new(Kind::WeightedRandom, members).unwrap_err()
    };
    assert_eq!(error(&[], &[]), BalancerError::NoEndpoints);
    assert_eq!(error(&[1], &[]), BalancerError::Keys(0, 1));
    assert_eq!(
        error(&[1; MAX_ENDPOINTS + 1], &[]),
        BalancerError::TooManyEndpoints(MAX_ENDPOINTS + 1)
    );
    let unknown = "round_robin".parse::<Kind>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "balance: unknown kind \"round_robin\"; use one of weighted_round_robin, weighted_random, \
         least_request, ewma, consistent_hash"
    );
}

#[test]
fn who_does_not_accept_is_passed_over() {
    for kind in Kind::ALL {
        let balancer = build(kind, &[9, 1, 0, 1], 0, 0);
        for bits in (0..64).map(mix) {
            let without = |refusing: &[usize]| {
                let endpoints = Stub {
                    refusing: refusing.to_vec(),
                    ..Stub::default()
                };
                pick_among(&balancer, bits, &endpoints)
            };
            assert_eq!(without(&[0, 1]), Some(3), "{kind:?}");
            assert_ne!(without(&[0]), Some(0), "{kind:?}");
            assert_eq!(
                without(&[0, 1, 3]),
                None,
                "{kind:?}: weight 0 is not picked"
            );
        }
    }
}

#[test]
fn least_request_prefers_who_has_less_for_its_weight() {
    let balancer = build(Kind::LeastRequest, &[3, 1], 0, 0);
    let endpoints = |in_flight: [u64; 2]| Stub {
        in_flight: in_flight.to_vec(),
        ..Stub::default()
    };
    let first = |in_flight| {
        let picked = (0..1000)
            .map(mix)
            .filter_map(|bits| pick_among(&balancer, bits, &endpoints(in_flight)));
        picked.filter(|&index| index == 0).count()
    };
    assert!(
        first([30, 0]) < 60,
        "the second draw finds the other one nearly always"
    );
    assert!(first([2, 1]) > 940, "two of three is less than one of one");
    let idle = first([0, 0]);
    assert!(
        (700..800).contains(&idle),
        "a tie is decided by weight: {idle}"
    );
}

#[test]
fn ewma_weighs_latency_with_load() {
    let balancer = build(Kind::Ewma, &[1, 1], 0, 0);
    let first = |latency_us: [f64; 2], in_flight: [u64; 2]| {
        let endpoints = Stub {
            latency_us: latency_us.to_vec(),
            in_flight: in_flight.to_vec(),
            ..Stub::default()
        };
        let picked = (0..1000)
            .map(mix)
            .filter_map(|bits| pick_among(&balancer, bits, &endpoints));
        picked.filter(|&index| index == 0).count()
    };
    assert!(first([1000.0, 9000.0], [0, 0]) > 930);
    assert!(
        first([1000.0, 9000.0], [9, 0]) < 70,
        "ten quick ones last longer than one slow one"
    );
    assert!(
        first([1000.0, 0.0], [0, 0]) < 70,
        "who has not answered yet is tried"
    );
    assert!(first([1000.0, 0.0], [0, 1]) > 930, "once");
}

#[test]
fn a_hash_keeps_its_endpoint_and_moves_alone() {
    let balancer = hashing(&[1; 10], 0);
    let gone = Stub {
        refusing: vec![4],
        ..Stub::default()
    };
    let mut moved = 0;
    for bits in (0..10_000).map(mix) {
        let before = pick(&balancer, bits);
        let after = pick_among(&balancer, bits, &gone).unwrap();
        assert!(before == after || before == 4);
        moved += usize::from(before != after);
    }
    assert!((800..1200).contains(&moved), "{moved}");
}

#[test]
fn bounded_load_passes_over_who_has_more_than_its_share() {
    let balancer = hashing(&[1; 4], 125);
    let mut endpoints = Stub {
        in_flight: vec![0; 4],
        ..Stub::default()
    };
    for _ in 0..400 {
        // The same key for all: without the bound one endpoint would have them all.
        let index = pick_among(&balancer, 77, &endpoints).unwrap();
        endpoints.in_flight[index] += 1;
    }
    let most = endpoints.in_flight.iter().max();
    assert!(most <= Some(&126), "{:?}", endpoints.in_flight);
}

proptest! {
    #[test]
    fn the_ring_follows_weights(weights in prop::collection::vec(1_u32..5, 2..8)) {
        let balancer = hashing(&weights, 0);
        let mut counts = vec![0_u32; weights.len()];
        for bits in (0..20_000).map(mix) {
            counts[pick(&balancer, bits)] += 1;
        }
        let total: u32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = 20_000.0 * f64::from(*weight) / f64::from(total);
            // Shares of a ring are uneven: 1 / sqrt(points), and some for the luck of a case.
            prop_assert!((f64::from(*count) / expected - 1.0).abs() < 0.75, "{counts:?} {weights:?}");
        }
    }

    #[test]
    fn a_period_serves_each_endpoint_by_its_weight(
        weights in prop::collection::vec(0_u32..50, 1..12), factor in 1_u32..1000, seed: u64,
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        // A common factor changes nothing.
        let multiplied: Vec<u32> = weights.iter().map(|weight| weight * factor).collect();
        let balancer = round_robin(&multiplied, seed % (1 << 63));
        let mut counts = vec![0_u32; weights.len()];
        for index in picks(&balancer, weights.iter().sum::<u32>() as usize) {
            counts[index] += 1;
        }
        prop_assert_eq!(counts, weights);
    }

    #[test]
    fn random_gives_each_endpoint_its_share(
        weights in prop::collection::vec(0_u32..1000, 1..20),
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        // A grid over the whole space of 64 bits in place of luck: shares come out as areas.
        const STEPS: u64 = 1 << 10;
        let balancer = random(&weights);
        let mut counts = vec![0_u64; weights.len()];
        for column in 0..weights.len() as u64 {
            let high = ((column << 32) + (1 << 31)) / weights.len() as u64;
            for step in 0..STEPS {
                counts[pick(&balancer, (high << 32) | (step << 22))] += 1;
            }
        }
        let total: f64 = weights.iter().copied().map(f64::from).sum();
        let drawn = (STEPS * weights.len() as u64) as f64;
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = drawn * f64::from(*weight) / total;
            // Each column rounds to one step.
            prop_assert!((*count as f64 - expected).abs() <= weights.len() as f64 + 1.0);
            prop_assert!(*weight > 0 || *count == 0);
        }
    }
}
