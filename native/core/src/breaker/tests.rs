use super::*;
use Admission::{Admitted, Refused};
use Outcome::{Abandoned, Failure, Success};
use State::{Closed, HalfOpen, Open};

const SETTINGS: Settings = Settings {
    window_ms: 10_000,
    min_requests: 4,
    failure_permille: 500,
    open_for_ms: 1000,
    open_max_ms: 4000,
    probes: 2,
};
/// The longest open time: no jitter.
const CALM: u64 = 0;

#[derive(Clone, Copy, Debug)]
enum Do {
    /// Ask for admission: granted or not.
    Admit(bool),
    /// Report for the oldest request that is still out.
    Report(Outcome),
    /// Report for the youngest.
    ReportLast(Outcome),
    /// Failures in a row, until it opens.
    Break,
    /// Time passes, ms.
    Wait(u64),
    Is(State),
}
use Do::{Admit, Break, Is, Report, ReportLast, Wait};

/// Every transition, and every event that must not be one.
const TABLE: &[(&str, &[Do])] = &[
    ("begins closed", &[Is(Closed), Admit(true)]),
    (
        "closed: too few requests decide nothing",
        &[
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Is(Closed),
        ],
    ),
    (
        "closed: below the ratio it stays",
        &[
            Admit(true),
            Report(Success),
            Admit(true),
            Report(Success),
            Admit(true),
            Report(Success),
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Is(Closed),
        ],
    ),
    (
        "closed -> open: the ratio is reached",
        &[Is(Closed), Break, Is(Open), Admit(false)],
    ),
    (
        "closed: failures of before the window are forgotten",
        &[
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Wait(11_000),
            Admit(true),
            Report(Failure),
            Is(Closed),
        ],
    ),
    (
        "closed: what is abandoned counts for nothing",
        &[
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Failure),
            Admit(true),
            Report(Abandoned),
            Is(Closed),
        ],
    ),
    (
        "open: refuses until its time is over",
        &[Break, Wait(999), Admit(false), Is(Open)],
    ),
    (
        "open: a late answer from before changes nothing",
        &[
            Admit(true),
            Break,
            Report(Success),
            Is(Open),
            Wait(1000),
            Is(Open),
        ],
    ),
    (
        "open -> half open: the first request after it",
        &[Break, Wait(1000), Admit(true), Is(HalfOpen)],
    ),
    (
        "half open: so many probes and no more",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Admit(false),
            Is(HalfOpen),
        ],
    ),
    (
        "half open: one success is not all",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Report(Success),
            Admit(false),
            Is(HalfOpen),
        ],
    ),
    (
        "half open -> closed: all succeed, and the failures of before are forgotten",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Report(Success),
            Report(Success),
            Is(Closed),
            Admit(true),
            Report(Failure),
            Is(Closed),
        ],
    ),
    (
        "half open -> open: one fails, and it stays open twice as long",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Report(Failure),
            Is(Open),
            Wait(1999),
            Admit(false),
            Wait(1),
            Admit(true),
        ],
    ),
    (
        "the open time is bounded",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Report(Failure),
            Wait(2000),
            Admit(true),
            Report(Failure),
            Wait(4000),
            Admit(true),
            Report(Failure),
            Wait(3999),
            Admit(false),
            Wait(1),
            Admit(true),
        ],
    ),
    (
        "closing ends the growth",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Report(Failure),
            Wait(2000),
            Admit(true),
            Admit(true),
            Report(Success),
            Report(Success),
            Is(Closed),
            Break,
            Wait(999),
            Admit(false),
            Wait(1),
            Admit(true),
        ],
    ),
    (
        "half open: an abandoned probe gives its place back",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Admit(false),
            Report(Abandoned),
            Admit(true),
            Admit(false),
        ],
    ),
    (
        "half open: probes that never report are followed by another round",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Wait(999),
            Admit(false),
            Wait(1),
            Admit(true),
            Admit(true),
            Admit(false),
        ],
    ),
    (
        "half open: a probe of an earlier round does not decide",
        &[
            Break,
            Wait(1000),
            Admit(true),
            Admit(true),
            Wait(1000),
            Admit(true),
            Report(Failure),
            Is(HalfOpen),
            Report(Success),
            Is(HalfOpen),
            ReportLast(Failure),
            Is(Open),
        ],
    ),
    (
        "half open: a late answer from the closed time does not decide",
        &[
            Admit(true),
            Break,
            Wait(1000),
            Admit(true),
            Report(Failure),
            Is(HalfOpen),
        ],
    ),
];

fn play(name: &str, steps: &[Do]) {
    let cell = BreakerCell::default();
    let breaker = Breaker::new(&cell, SETTINGS);
    let mut now = 50_000;
    let mut out: Vec<u32> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let place = format!("{name}, step {at}: {step:?}");
        match *step {
            Admit(granted) => match breaker.admit(now) {
                Admitted { ticket, .. } => {
                    assert!(granted, "{place}");
                    out.push(ticket);
                }
                Refused { retry_after_ms } => {
                    assert!(!granted && retry_after_ms > 0, "{place}");
                }
            },
            Break => open(&breaker, now),
            Report(outcome) => {
                breaker.report(out.remove(0), outcome, now, CALM);
            }
            ReportLast(outcome) => {
                breaker.report(out.pop().expect(&place), outcome, now, CALM);
            }
            Wait(ms) => now += ms,
            Is(state) => assert_eq!(cell.state(), state, "{place}"),
        }
    }
}

fn open(breaker: &Breaker<'_>, now: u64) {
    let mut entered = None;
    while entered.is_none() {
        let Admitted { ticket, .. } = breaker.admit(now) else {
            panic!("refused while closed");
        };
        entered = breaker.report(ticket, Failure, now, CALM);
    }
    assert_eq!(entered, Some(Open));
}

#[test]
fn every_transition() {
    for (name, steps) in TABLE {
        play(name, steps);
    }
}

#[test]
fn transitions_are_told_once() {
    let cell = BreakerCell::default();
    let breaker = Breaker::new(&cell, SETTINGS);
    open(&breaker, 0);
    assert_eq!(cell.open_until_ms(), 1000);
    assert_eq!(
        breaker.admit(400),
        Refused {
            retry_after_ms: 600
        }
    );
    let Admitted { ticket, entered } = breaker.admit(1000) else {
        panic!("no probe");
    };
    assert_eq!(entered, Some(HalfOpen));
    let second = breaker.admit(1000);
    assert_eq!(
        second,
        Admitted {
            ticket,
            entered: None
        }
    );
    assert_eq!(breaker.report(ticket, Success, 1000, CALM), None);
    assert_eq!(breaker.report(ticket, Success, 1000, CALM), Some(Closed));
    assert_eq!(cell.open_until_ms(), 0);
}

#[test]
fn another_host_opens_it_only_while_it_is_closed() {
    let cell = BreakerCell::default();
    let breaker = Breaker::new(&cell, SETTINGS);
    assert!(cell.open_until(5000));
    assert!(matches!(breaker.admit(5000), Admitted { ticket: 2, .. }));
    assert!(!cell.open_until(9000), "it asks for itself");
    assert_eq!(breaker.report(2, Failure, 5000, CALM), Some(Open));
    assert_eq!(cell.open_until_ms(), 6000, "a first opening of its own");
}

#[test]
fn jitter_shortens_by_at_most_a_fifth() {
    for random in [0, 1 << 62, u64::MAX / 2, u64::MAX] {
        let cell = BreakerCell::default();
        let breaker = Breaker::new(&cell, SETTINGS);
        for _ in 0..4 {
            breaker.report(0, Failure, 0, random);
        }
        let until = cell.open_until_ms();
        assert!((800..=1000).contains(&until), "{until}");
        assert_eq!(until == 1000, random < 1 << 62, "{random}: {until}");
    }
}

#[test]
fn generations_may_wrap() {
    let last = Word {
        state: HalfOpen,
        generation: GENERATION_MASK,
        until_ms: UNTIL_MASK,
    };
    assert_eq!(Word::unpack(last.pack()), last);
    assert_eq!(last.next(Closed, 0).generation, 0);
}

/// Many workers at once: never more probes than allowed, and each transition is told by one.
#[test]
fn threads_agree() {
    for _ in 0..200 {
        let cell = BreakerCell::default();
        let breaker = Breaker::new(&cell, SETTINGS);
        open(&breaker, 0);
        let told = AtomicU32::new(0);
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if let Admitted { entered, .. } = breaker.admit(1000) {
                        admitted.fetch_add(1, Relaxed);
                        told.fetch_add(u32::from(entered.is_some()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(told.load(Relaxed), 1);
        assert_eq!(admitted.load(Relaxed), SETTINGS.probes);
    }
}
