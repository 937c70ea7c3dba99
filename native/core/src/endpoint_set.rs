//! The endpoints of one service, as one worker asks for them: its balancer over what all workers
//! know of each endpoint in the segment.
//!
//! A pick passes over those that are unhealthy or ejected, and those that this request has tried.
//! When too few are left it does not: then what excludes them is likelier to be wrong than right, and
//! the few would break under the load of all.
//!
//! Endpoints of several priorities, or of the gateway's own zone and others, are in levels.
#![forbid(unsafe_code)]

mod levels;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::balancer::{hash_key, Balancer, BalancerError, Endpoints, Kind, Members, Pick};
use crate::endpoint::{Ejection, EndpointCell};
use crate::segment::{Region, Segment, SegmentError, OTHER};
use levels::Levels;

/// One endpoint, as the Plan has it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where its state lies in the segment.
    pub place: u32,
    pub weight: u32,
    /// What consistent hashing and a sticky cookie recognise it by, on every host.
    pub url: String,
    /// Lower ones come first; the others serve when there are too few of them.
    pub priority: u32,
    /// Where it runs, if that is known.
    pub zone: Option<String>,
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
    /// The gateway's own, whose endpoints come first; None: no zone does.
    pub zone: Option<String>,
}

/// An endpoint that starts slowly has at least this part of its share, or it would never warm up.
const LEAST_SHARE: f64 = 0.1;

pub struct EndpointSet {
    balancer: Balancer,
    /// In place of the balancer, if there are several.
    levels: Option<Box<Levels>>,
    /// 0 = is never picked.
    weights: Box<[u32]>,
    settings: Settings,
    places: Box<[u32]>,
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
        let weights: Box<[u32]> = balancer.weights().into();
        let members = Members {
            weights: &weights,
            ..members
        };
        let zone = settings.zone.as_deref();
        let levels = Levels::new(settings.kind, endpoints, members, zone);
        let levels = levels.map_err(EndpointSetError::Balancer)?;
        if let Some(levels) = &levels {
            levels.share(&weights, |_| true);
        }
        let cells: Box<[_]> = endpoints
            .iter()
            .map(|endpoint| segment.endpoint(endpoint.place))
            .collect();
        if settings.slow_start_ms != 0 {
            cells.iter().for_each(|cell| cell.appear(now_ms));
        }
        let set = Self {
            balancer,
            levels: levels.map(Box::new),
            weights,
            places: endpoints.iter().map(|endpoint| endpoint.place).collect(),
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
        set.places.iter().for_each(|&place| set.own.hold(place));
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
        let view = View {
            set: self,
            now_ms,
            strict: self.excludes && !self.panicking.load(Relaxed),
            tried,
        };
        self.look(pick, &view)
            .or_else(|| self.look_again(pick, view))
    }

    #[inline]
    fn look(&self, pick: Pick, view: &View<'_>) -> Option<usize> {
        match &self.levels {
            None => self.balancer.pick(pick, view),
            Some(levels) => levels.pick(pick, view),
        }
    }

    /// One that was tried rather than one that is ill; one that is ill rather than none.
    #[cold]
    fn look_again(&self, pick: Pick, view: View<'_>) -> Option<usize> {
        let view = View { tried: &[], ..view };
        let found = if pick.again {
            self.look(pick, &view)
        } else {
            None
        };
        if found.is_some() || self.settings.panic_percent == 0 {
            return found;
        }
        let strict = false;
        self.look(pick, &View { strict, ..view })
    }

    /// The endpoint with this key (see `key`), if it may be used: for a sticky cookie.
    pub fn find(&self, now_ms: u64, key: u64) -> Option<usize> {
        let index = self.keys.iter().position(|&known| known == key)?;
        let usable = !self.excludes || self.cells[index].is_usable(now_ms);
        (usable && self.weights[index] != 0).then_some(index)
    }

    /// What an endpoint is recognised by.
    pub fn key(&self, index: usize) -> u64 {
        self.keys.get(index).copied().unwrap_or_default()
    }

    /// A request goes to the endpoint. Ended by `end`, once.
    #[inline]
    pub fn begin(&self, index: usize) {
        if self.counts {
            self.own.enter(self.places[index], self.settings.label);
        }
    }

    #[inline]
    pub fn end(&self, index: usize) {
        if self.counts {
            self.own.leave(self.places[index], self.settings.label);
        }
    }

    /// How a request ended. True if the endpoint has been ejected for it, by this very call.
    pub fn report(&self, index: usize, failed: bool, latency_us: u64, now_ms: u64) -> bool {
        if self.places[index] == OTHER {
            return false; // it shares its place, so nothing is known of it
        }
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
        if self.places[index] == OTHER {
            return;
        }
        let cell = self.cells[index];
        self.measure(cell, latency_us, false, now_ms);
        let rules = &self.settings.ejection;
        // The window of failures is not for what is neither: it would hide those that there are.
        if rules.latency_percent != 0 && rules.failure_permille == 0 {
            cell.count(rules, now_ms);
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
        let (mut all, mut usable) = (0_usize, 0_usize);
        let weighted = self.weights.iter().zip(&self.cells);
        for (_, cell) in weighted.filter(|(&weight, _)| weight != 0) {
            all += 1;
            usable += usize::from(cell.is_usable(now_ms));
        }
        let too_few = usable * 100 < all * self.settings.panic_percent as usize;
        let panicking = match &self.levels {
            None => too_few,
            Some(levels) => {
                let is_usable = |index: usize| self.cells[index].is_usable(now_ms);
                // As long as other levels can carry everything there is no need to try the ill.
                let is_carried = levels.share(&self.weights, is_usable);
                if too_few && !is_carried {
                    levels.share_by_weight(&self.weights);
                }
                too_few && !is_carried
            }
        };
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

/// An exchange may outlive its Plan: what it reports goes to this endpoint and no later one.
impl Drop for EndpointSet {
    fn drop(&mut self) {
        self.places
            .iter()
            .for_each(|&place| self.own.release(place));
    }
}

/// The endpoints at the moment of a pick.
struct View<'a> {
    set: &'a EndpointSet,
    now_ms: u64,
    strict: bool,
    tried: &'a [u32],
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
        let place = self.set.places[index];
        let counts = self
            .set
            .regions
            .iter()
            .map(|region| region.in_flight(place));
        counts.map(u64::from).sum()
    }

    fn total_in_flight(&self) -> u64 {
        let service = self.set.settings.label;
        let counts = self
            .set
            .regions
            .iter()
            .map(|region| region.in_service(service));
        counts.map(u64::from).sum()
    }

    fn latency_us(&self, index: usize) -> f64 {
        self.set.cells[index].latency_us(self.now_ms)
    }
}
