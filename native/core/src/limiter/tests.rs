use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1000 * SECOND;

struct Memory {
    cells: Vec<Cell>,
    tally: Tally,
}

impl Memory {
    fn new(cells: usize) -> Self {
        let cells = (0..cells).map(|_| Cell::default()).collect();
        let tally = Tally::default();
        Self { cells, tally }
    }

    fn table(&self) -> CellTable<'_> {
        CellTable::new(&self.cells, &self.tally)
    }

    fn ask(&self, rule: Rule, key: u64, weight: u32, now: u64) -> Quota {
        let ask = ask(0, key, weight);
        let mut out = [Quota::default()];
        let allowed = Limits(vec![rule]).acquire(&self.table(), &[ask], now, &mut out);
        assert_eq!(allowed, out[0].allowed == 1);
        out[0]
    }
}

fn ask(rule: u32, key: u64, weight: u32) -> Ask {
    Ask {
        rule,
        weight,
        enforced: 1,
        reserved: 0,
        key,
    }
}

fn rules() -> [Rule; 4] {
    [
        Rule::bucket(10, SECOND, 10),
        Rule::sliding(10, SECOND),
        Rule::Counter(Counter::new(SECOND / TICK_NS, 10, true)),
        Rule::fixed(10, SECOND),
    ]
}

#[test]
fn all_rules_give_the_limit_and_no_more() {
    for rule in rules() {
        let memory = Memory::new(64);
        for left in (0..10).rev() {
            let quota = memory.ask(rule, 77, 1, START);
            assert_eq!((quota.allowed, quota.remaining), (1, left), "{rule:?}");
        }
        let refused = memory.ask(rule, 77, 1, START);
        assert_eq!((refused.allowed, refused.remaining), (0, 0), "{rule:?}");
        assert!(
            refused.retry_ns > 0 && refused.reset_ns >= refused.retry_ns,
            "{rule:?} {refused:?}"
        );
        let later = START + refused.retry_ns + SECOND / 100;
        assert_eq!(memory.ask(rule, 77, 1, later).allowed, 1, "{rule:?}");
        assert_eq!(memory.ask(rule, 78, 1, START).allowed, 1, "{rule:?}");
    }
}

#[test]
fn a_refusal_takes_nothing_of_the_others() {
    for rule in rules() {
        let memory = Memory::new(64);
        let limits = Limits(vec![rule, Rule::bucket(1, SECOND, 1)]);
        let asks = [ask(0, 1, 1), ask(1, 2, 1)];
        let mut out = [Quota::default(); 2];
        assert!(limits.acquire(&memory.table(), &asks, START, &mut out));
        for _ in 0..20 {
            assert!(!limits.acquire(&memory.table(), &asks, START, &mut out));
            assert_eq!((out[0].allowed, out[1].allowed), (1, 0));
        }
        limits.refund(&memory.table(), &asks[..1], &out[..1], START);
        assert_eq!(memory.ask(rule, 1, 10, START).allowed, 1, "{rule:?}");
    }
}

#[test]
fn what_is_not_enforced_refuses_nobody() {
    let memory = Memory::new(64);
    let limits = Limits(vec![Rule::bucket(1, SECOND, 1)]);
    let asks = [Ask {
        enforced: 0,
        ..ask(0, 1, 1)
    }];
    let mut out = [Quota::default()];
    assert!(limits.acquire(&memory.table(), &asks, START, &mut out));
    assert!(limits.acquire(&memory.table(), &asks, START, &mut out));
    assert_eq!(out[0].allowed, 0);
}

#[test]
fn a_flood_of_keys_does_not_reset_a_drained_bucket() {
    let memory = Memory::new(32);
    let rule = Rule::bucket(10, 60 * SECOND, 10);
    for _ in 0..10 {
        assert_eq!(memory.ask(rule, 5 << 56 | 3, 1, START).allowed, 1);
    }
    for key in 1..2000_u64 {
        memory.ask(rule, key.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1, START);
    }
    assert!(memory.table().evictions() > 1000);
    assert_eq!(memory.ask(rule, 5 << 56 | 3, 1, START).allowed, 0);
}

#[test]
fn an_empty_cell_is_taken_again() {
    let memory = Memory::new(32);
    let rule = Rule::bucket(10, SECOND, 10);
    for round in 0..100 {
        for key in 0..8_u64 {
            let key = (round * 8 + key).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            assert_eq!(
                memory
                    .ask(rule, key, 10, START + round * 2 * SECOND)
                    .allowed,
                1
            );
        }
    }
    assert_eq!(memory.table().evictions(), 0);
}

#[test]
fn threads_get_the_limit_and_no_more() {
    for rule in [
        Rule::bucket(1000, 3600 * SECOND, 1000),
        Rule::sliding(60, 60 * SECOND),
        Rule::sliding(1000, 60 * SECOND),
        Rule::fixed(1000, 60 * SECOND),
    ] {
        let limit = match rule {
            Rule::Log(log) => log.limit,
            _ => 1000,
        };
        let memory = Memory::new(1024);
        let total = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for call in 0..1000 {
                        let quota = memory.ask(rule, 99, 1, START + call);
                        total.fetch_add(
                            u64::from(quota.allowed),
                            std::sync::atomic::Ordering::Relaxed,
                        );
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), limit, "{rule:?}");
    }
}

#[test]
fn a_lease_gives_what_was_granted() {
    let memory = Memory::new(64);
    let rule = Rule::Lease(Lease { size: 10 });
    let limits = Limits(vec![rule]);
    let unknown = memory.ask(rule, 7, 1, START);
    assert_eq!((unknown.allowed, unknown.retry_ns), (0, 0));
    let now = START / TICK_NS;
    let grant = Grant {
        tokens: 10,
        until: now + SECOND / TICK_NS,
        remaining: 5,
        full_at: now + SECOND / TICK_NS,
        retry_at: 0,
    };
    limits.grant(&memory.table(), 0, 7, grant, START);
    let answers: Vec<Quota> = (0..11).map(|_| memory.ask(rule, 7, 1, START)).collect();
    assert_eq!(
        answers.iter().filter(|quota| quota.allowed == 1).count(),
        10
    );
    assert_eq!(answers[0].remaining, 14);
    assert_eq!(
        answers.iter().filter(|quota| quota.wants_more == 1).count(),
        1
    );
    let empty = Grant {
        tokens: 0,
        retry_at: now + 100,
        ..grant
    };
    limits.grant(&memory.table(), 0, 7, empty, START);
    assert_eq!(memory.ask(rule, 7, 1, START).retry_ns, 100 * TICK_NS);
    limits.grant(&memory.table(), 0, 7, grant, START);
    assert_eq!(
        memory.ask(rule, 7, 1, START + 2 * SECOND).allowed,
        0,
        "expired"
    );
}

#[test]
fn under_way_ends_with_its_process() {
    let memory = Memory::new(64);
    let flight = |lives: [u64; 8]| InFlight {
        table: memory.table(),
        lives: lives.into_iter(),
    };
    let first = flight([0; 8]);
    assert!(first.enter(9, 0, 3, START));
    assert!(first.enter(9, 7, 3, START));
    assert!(first.enter(9, 7, 3, START));
    assert!(!first.enter(9, 0, 3, START));
    first.leave(9, 7, START);
    assert!(first.enter(9, 0, 3, START));
    let second = flight([0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(second.sum(9, START), 2);
    second.leave(9, 7, START);
    assert_eq!(second.sum(9, START), 2);
}

proptest! {
    /// In no window of any kind lies more than a log's limit, and nothing that fits is refused.
    #[test]
    fn a_log_is_exact(steps in proptest::collection::vec((0..400_u64, 1..4_u32), 1..200), limit in 1..20_u64) {
        let memory = Memory::new(64);
        let rule = Rule::sliding(limit, 1600);
        let (mut now, mut log) = (START, Vec::new());
        for (step, weight) in steps {
            now += step * TICK_NS;
            log.retain(|&at| at + 1600 > now);
            let fits = log.len() as u64 + u64::from(weight) <= limit;
            let quota = memory.ask(rule, 5, weight, now);
            prop_assert_eq!(quota.allowed == 1, fits);
            if fits {
                log.extend(std::iter::repeat_n(now, weight as usize));
                prop_assert_eq!(quota.remaining, limit - log.len() as u64);
            }
        }
    }
}
