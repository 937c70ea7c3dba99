use super::weighted_round_robin::MAX_SCHEDULE;
use super::*;
use proptest::prelude::*;

fn round_robin(weights: &[u32], seed: u64) -> Balancer {
    Balancer::new(Kind::WeightedRoundRobin, weights, seed).unwrap()
}

fn random(weights: &[u32]) -> Balancer {
    Balancer::new(Kind::WeightedRandom, weights, 0).unwrap()
}

fn picks(balancer: &Balancer, count: usize) -> Vec<usize> {
    (0..count).map(|_| balancer.pick(0)).collect()
}

#[test]
fn round_robin_is_smooth() {
    assert_eq!(
        picks(&round_robin(&[5, 1, 1], 0), 14),
        [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]
    );
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
    let chosen: Vec<usize> = (0..3).map(|i| random(&[0, 0, 0]).pick(i << 62)).collect();
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
    let error = |kind, weights: &[u32]| Balancer::new(kind, weights, 0).unwrap_err();
    assert_eq!(error(Kind::WeightedRandom, &[]), BalancerError::NoEndpoints);
    assert_eq!(
        error(Kind::WeightedRandom, &[1; MAX_ENDPOINTS + 1]),
        BalancerError::TooManyEndpoints(MAX_ENDPOINTS + 1)
    );
    let unknown = "round_robin".parse::<Kind>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "balance: unknown kind \"round_robin\"; use one of weighted_round_robin, weighted_random"
    );
}

proptest! {
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
                counts[balancer.pick((high << 32) | (step << 22))] += 1;
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
