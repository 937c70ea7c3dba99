//! The endpoints of one service, as one worker asks for them: its balancer over what all workers
//! know of each endpoint in the segment.
//!
//! A pick passes over those that are unhealthy or ejected, and those that this request has tried.
//! When too few are left it does not: then what excludes them is likelier to be wrong than right, and
//! the few would break under the load of all.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::balancer::{hash_key, Balancer, BalancerError, Endpoints, Kind, Members, Pick};
use crate::endpoint::{Ejection, EndpointCell};
use crate::segment::{Region, Segment, SegmentError};

/// One endpoint, as the Plan has it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Id of its text in the segment's label table.
    pub label: u32,
    pub weight: u32,
    /// What consistent hashing and a sticky cookie recognise it by, on every host.
    pub url: String,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub kind: Kind,
    /// Bound of an endpoint's load in consistent hashing, in percent of its share; 0 = none.
    pub max_load_percent: u32,
    /// The service's own label.
    pub label: u32,
    /// How long an endpoint that came or came back gets less than its share; 0 = not at all.
    pub slow_start_ms: u64,
    pub ejection: Ejection,
    /// Share of the endpoints that may be ejected at the same time.
    pub max_ejected_percent: u32,
    /// With a smaller share left, nobody is passed over; 0 = always passes over.
    pub panic_percent: u32,
    /// Whether anybody judges the endpoints' health.
    pub checked: bool,
}

/// An endpoint that starts slowly has at least this part of its share, or it would never warm up.
const LEAST_SHARE: f64 = 0.1;

pub struct EndpointSet {
    balancer: Balancer,
    settings: Settings,
    labels: Box<[u32]>,
    keys: Box<[u64]>,
    cells: Box<[&'static EndpointCell]>,
    regions: &'static [Region],
    /// That of the worker.
    own: &'static Region,
    /// Whether anything can exclude an endpoint.
    excludes: bool,
    counts: bool,
    measures: bool,
    panicking: AtomicBool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSetError {
    Balancer(BalancerError),
    Segment(SegmentError),
}

impl EndpointSet {
    /// `slot`: the worker's. `seed`: its own, see `Members`.
    pub fn new(
        segment: &Segment,
        slot: usize,
        settings: Settings,
        endpoints: &[Endpoint],
        seed: u64,
        now_ms: u64,
    ) -> Result<Self, EndpointSetError> {
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let url_key = |endpoint: &Endpoint| hash_key(endpoint.url.as_bytes());
        let keys: Box<[u64]> = endpoints.iter().map(url_key).collect();
        let members = Members {
            weights: &weights,
            keys: &keys,
            max_load_percent: settings.max_load_percent,
            seed,
        };
        let balancer = Balancer::new(settings.kind, members).map_err(EndpointSetError::Balancer)?;
        let cells: Box<[_]> = endpoints
            .iter()
            .map(|endpoint| segment.endpoint(endpoint.label))
            .collect();
        if settings.slow_start_ms != 0 {
            cells.iter().for_each(|cell| cell.appear(now_ms));
        }
        let set = Self {
            balancer,
            labels: endpoints.iter().map(|endpoint| endpoint.label).collect(),
            keys,
            cells,
            regions: segment.regions(),
            own: segment.region(slot).map_err(EndpointSetError::Segment)?,
            excludes: settings.checked || settings.ejection.is_on(),
            counts: settings.max_load_percent != 0
                || matches!(settings.kind, Kind::LeastRequest | Kind::Ewma),
            measures: settings.kind == Kind::Ewma,
            panicking: AtomicBool::new(false),
            settings,
        };
        set.refresh(now_ms);
        Ok(set)
    }

    /// Whether `begin`, `end` and `report` do anything.
    pub fn is_counted(&self) -> bool {
        self.counts || self.measures || self.settings.ejection.is_on()
    }

    /// Index of an endpoint. `tried`: those that failed this very request; one of them is taken only
    /// if there is no other. None: all are unhealthy, and there is no panic threshold. The others as
    /// in `Pick`.
    #[inline]
    pub fn pick(&self, now_ms: u64, random: u64, hash: u64, tried: &[u32]) -> Option<usize> {
        let again = !tried.is_empty();
        let pick = Pick {
            random,
            hash,
            again,
        };
        let strict = self.excludes && !self.panicking.load(Relaxed);
        let look = |strict, tried| {
            let view = View {
                set: self,
                now_ms,
                strict,
                tried,
            };
            self.balancer.pick(pick, &view)
        };
        let found = look(strict, tried);
        if found.is_some() {
            return found;
        }
        let found = if again { look(strict, &[]) } else { None };
        if found.is_none() && self.settings.panic_percent != 0 {
            return look(false, &[]);
        }
        found
    }

    /// The endpoint with this key (see `key`), if it may be used: for a sticky cookie.
    pub fn find(&self, now_ms: u64, key: u64) -> Option<usize> {
        let index = self.keys.iter().position(|&known| known == key)?;
        let usable = !self.excludes || self.cells[index].is_usable(now_ms);
        (usable && self.balancer.weights()[index] != 0).then_some(index)
    }

    /// What an endpoint is recognised by.
    pub fn key(&self, index: usize) -> u64 {
        self.keys.get(index).copied().unwrap_or_default()
    }

    /// A request goes to the endpoint. Ended by `end`, once.
    #[inline]
    pub fn begin(&self, index: usize) {
        if self.counts {
            self.own.enter(self.labels[index]);
            self.own.enter(self.settings.label);
        }
    }

    #[inline]
    pub fn end(&self, index: usize) {
        if self.counts {
            self.own.leave(self.labels[index]);
            self.own.leave(self.settings.label);
        }
    }

    /// How a request ended. True if the endpoint has been ejected for it, by this very call.
    pub fn report(&self, index: usize, failed: bool, latency_us: u64, now_ms: u64) -> bool {
        let cell = self.cells[index];
        let rules = &self.settings.ejection;
        self.measure(cell, latency_us, failed, now_ms);
        rules.is_on()
            && cell.judge(rules, failed, now_ms)
            && self.may_eject(now_ms)
            && cell.eject(rules, now_ms)
    }

    /// A request was given up, because another endpoint answered it first. It would have taken longer;
    /// whether it would have failed is not known.
    pub fn outrun(&self, index: usize, latency_us: u64, now_ms: u64) {
        let cell = self.cells[index];
        self.measure(cell, latency_us, false, now_ms);
        if self.settings.ejection.latency_percent != 0 {
            cell.count(&self.settings.ejection, now_ms);
        }
    }

    fn measure(&self, cell: &EndpointCell, latency_us: u64, failed: bool, now_ms: u64) {
        if self.measures {
            cell.observe(latency_us, now_ms);
        }
        if self.settings.ejection.latency_percent != 0 && !failed {
            cell.time(latency_us);
        }
    }

    /// One of two may always go; the only one never.
    fn may_eject(&self, now_ms: u64) -> bool {
        let ejected = self
            .cells
            .iter()
            .filter(|cell| cell.ejected_until_ms() > now_ms);
        let count = self.cells.len();
        let most = count * self.settings.max_ejected_percent as usize / 100;
        ejected.count() < most.max(usize::from(count > 1))
    }

    /// Looks at all endpoints: ejects the slowest if it is too slow, and finds out whether there are
    /// enough to pass over the others. Called on the tick: a pick looks at few. Index of the endpoint
    /// that has been ejected by this very call.
    pub fn refresh(&self, now_ms: u64) -> Option<usize> {
        if !self.excludes {
            return None;
        }
        let ejected = self.eject_slowest(now_ms);
        let weighted = self.balancer.weights().iter().zip(&self.cells);
        let (mut all, mut usable) = (0_usize, 0_usize);
        for (_, cell) in weighted.filter(|(&weight, _)| weight != 0) {
            all += 1;
            usable += usize::from(cell.is_usable(now_ms));
        }
        let panicking = usable * 100 < all * self.settings.panic_percent as usize;
        self.panicking.store(panicking, Relaxed);
        ejected
    }

    fn eject_slowest(&self, now_ms: u64) -> Option<usize> {
        let rules = &self.settings.ejection;
        if rules.latency_percent == 0 {
            return None;
        }
        let known = self.cells.iter().enumerate().filter_map(|(index, cell)| {
            let mean_us = cell.mean_us(rules, now_ms)?;
            (cell.ejected_until_ms() <= now_ms).then_some((mean_us, index))
        });
        let mut means: Vec<(u64, usize)> = known.collect();
        means.sort_unstable();
        let &(slowest_us, slowest) = means.last()?;
        // The lower one of two: of two endpoints the faster one says what is usual.
        let (median_us, _) = means[(means.len() - 1) / 2];
        let too_slow = slowest_us >= rules.latency_floor_us
            && slowest_us * 100 >= median_us * u64::from(rules.latency_percent);
        (means.len() > 1
            && too_slow
            && self.may_eject(now_ms)
            && self.cells[slowest].eject(rules, now_ms))
        .then_some(slowest)
    }
}

/// The endpoints at the moment of a pick.
struct View<'a> {
    set: &'a EndpointSet,
    now_ms: u64,
    strict: bool,
    tried: &'a [u32],
}

impl View<'_> {
    fn sum(&self, label: u32) -> u64 {
        let counts = self
            .set
            .regions
            .iter()
            .map(|region| region.in_flight(label));
        counts.map(u64::from).sum()
    }
}

impl Endpoints for View<'_> {
    #[inline]
    fn accepts(&self, index: usize, random: u64) -> bool {
        if !self.accepts_hashed(index) {
            return false;
        }
        let slow_start_ms = self.set.settings.slow_start_ms;
        if slow_start_ms == 0 {
            return true;
        }
        let age_ms = self.set.cells[index].age_ms(self.now_ms);
        let share = (age_ms as f64 / slow_start_ms as f64).max(LEAST_SHARE);
        // Bits that weighted random has no use for as long as there are few endpoints.
        share >= 1.0 || ((random >> 11 & 0xF_FFFF) as f64) < share * f64::from(1 << 20)
    }

    #[inline]
    fn accepts_hashed(&self, index: usize) -> bool {
        (!self.strict || self.set.cells[index].is_usable(self.now_ms))
            && !self.tried.contains(&(index as u32))
    }

    fn in_flight(&self, index: usize) -> u64 {
        self.sum(self.set.labels[index])
    }

    fn total_in_flight(&self) -> u64 {
        self.sum(self.set.settings.label)
    }

    fn latency_us(&self, index: usize) -> f64 {
        self.set.cells[index].latency_us(self.now_ms)
    }
}
