//! The endpoints of a service in levels: by their priority, and within one those of the gateway's own
//! zone before the others. A level is used as far as it can carry the load; the rest goes on to the
//! next one, in proportion.
//!
//! Priorities share the load as Envoy's do ("Priority levels" in its documentation of load balancing):
//! a level of which 1 / 1.4 = 71 % is usable carries everything, below that as much less as there are
//! fewer. Zones go by the same factor. That callers are spread evenly over the zones is assumed: the
//! own zone is to carry 1 / zones of all requests, and has as much too little as its usable weight,
//! times the factor, is below that. So no endpoint gets more than 1.4 times its share because it is
//! near, and a zone that is too small or half dead passes the rest on.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Endpoint, View};
use crate::balancer::{mix, Balancer, BalancerError, Endpoints, Kind, Members, Pick};

/// By how much what is usable may be overloaded before others help: Envoy's default
/// `overprovisioning_factor`.
const OVERPROVISIONING: f64 = 1.4;
/// All requests, as the sum of the levels' loads.
const ALL: f64 = (1_u64 << 32) as f64;

#[derive(Debug)]
struct Level {
    priority: u32,
    is_local: bool,
    balancer: Balancer,
    /// Index of each of its endpoints in the service's list.
    members: Box<[usize]>,
    /// A draw below this, and not below that of the level before, is for this level.
    until: AtomicU64,
}

/// What a level has to carry its load with, in weights.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Strength {
    priority: u32,
    is_local: bool,
    /// Zones in which the endpoints of its priority are.
    zones: usize,
    all: u64,
    usable: u64,
}

#[derive(Debug)]
pub struct Levels {
    levels: Box<[Level]>,
    /// Zones of each level's priority.
    zones: Box<[usize]>,
    is_hashed: bool,
}

impl Levels {
    /// None if all endpoints are in one level. `weights`, not all 0, and `members` belong to
    /// `endpoints`; `zone`: the gateway's own.
    pub fn new(
        kind: Kind,
        endpoints: &[Endpoint],
        members: Members<'_>,
        zone: Option<&str>,
    ) -> Result<Option<Self>, BalancerError> {
        let is_local = |endpoint: &Endpoint| zone.is_some() && endpoint.zone.as_deref() == zone;
        let place = |endpoint: &Endpoint| (endpoint.priority, !is_local(endpoint));
        let weighted = || {
            let zipped = endpoints.iter().zip(members.weights).enumerate();
            zipped.filter(|(_, (_, &weight))| weight != 0)
        };
        let places: BTreeSet<_> = weighted()
            .map(|(_, (endpoint, _))| place(endpoint))
            .collect();
        if places.len() < 2 {
            return Ok(None);
        }
        let build = |&(priority, is_remote): &(u32, bool)| {
            let chosen: Box<[usize]> = weighted()
                .filter(|(_, (endpoint, _))| place(endpoint) == (priority, is_remote))
                .map(|(index, _)| index)
                .collect();
            let weights: Vec<u32> = chosen.iter().map(|&at| members.weights[at]).collect();
            let keys: Vec<u64> = chosen.iter().map(|&at| members.keys[at]).collect();
            let part = Members {
                weights: &weights,
                keys: &keys,
                ..members
            };
            Ok(Level {
                priority,
                is_local: !is_remote,
                balancer: Balancer::new(kind, part)?,
                members: chosen,
                until: AtomicU64::new(0),
            })
        };
        let levels: Box<[Level]> = places.iter().map(build).collect::<Result<_, _>>()?;
        let zones_of = |level: &Level| {
            let same = weighted().filter(|(_, (each, _))| each.priority == level.priority);
            let zones: BTreeSet<_> = same.map(|(_, (each, _))| &each.zone).collect();
            zones.len()
        };
        Ok(Some(Self {
            zones: levels.iter().map(zones_of).collect(),
            is_hashed: kind == Kind::ConsistentHash,
            levels,
        }))
    }

    /// Index of an endpoint in the service's list, of the level that the draw falls to; of another
    /// one if none of that level accepts. A key keeps its level as long as the loads do.
    #[inline(never)] // for the sake of the picks without levels
    pub fn pick(&self, pick: Pick, view: &View<'_>) -> Option<usize> {
        let bits = if self.is_hashed {
            pick.hash
        } else {
            pick.random
        };
        // Mixed: the balancers use the same bits, and their choice must not depend on the level's.
        let draw = mix(bits) >> 32;
        let falls_to = |level: &Level| draw < level.until.load(Relaxed);
        let drawn = self.levels.iter().position(falls_to).unwrap_or(0);
        self.levels[drawn].pick(pick, view).or_else(|| {
            let others = self
                .levels
                .iter()
                .enumerate()
                .filter(|&(at, _)| at != drawn);
            others
                .map(|(_, level)| level)
                .find_map(|level| level.pick(pick, view))
        })
    }

    /// Divides the load anew. `usable`: by index of the endpoint; `weights`: as for `new`. True if
    /// the usable ones can carry everything.
    pub fn share(&self, weights: &[u32], usable: impl Fn(usize) -> bool) -> bool {
        let sum = |members: &mut dyn Iterator<Item = usize>| -> u64 {
            members.map(|at| u64::from(weights[at])).sum()
        };
        let strength = |(level, &zones): (&Level, &usize)| {
            let members = || level.members.iter().copied();
            Strength {
                priority: level.priority,
                is_local: level.is_local,
                zones,
                all: sum(&mut members()),
                usable: sum(&mut members().filter(|&at| usable(at))),
            }
        };
        let strengths: Vec<Strength> = self.levels.iter().zip(&self.zones).map(strength).collect();
        let (loads, carried) = loads(&strengths);
        let mut sum = 0.0;
        for (level, load) in self.levels.iter().zip(loads) {
            sum += load;
            level.until.store((sum * ALL) as u64, Relaxed);
        }
        carried >= 1.0
    }

    /// By weight alone, with no regard to who can: when nothing that is known can be trusted.
    pub fn share_by_weight(&self, weights: &[u32]) {
        let weight =
            |level: &Level| -> f64 { level.members.iter().map(|&at| f64::from(weights[at])).sum() };
        let total: f64 = self.levels.iter().map(weight).sum();
        let mut sum = 0.0;
        for level in &self.levels {
            sum += weight(level);
            level.until.store((sum / total * ALL) as u64, Relaxed);
        }
    }
}

impl Level {
    fn pick(&self, pick: Pick, view: &View<'_>) -> Option<usize> {
        let members = &self.members;
        let index = self.balancer.pick(pick, &Part { view, members })?;
        Some(members[index])
    }
}

/// The share of each level, and how much the usable ones can carry of all, up to 1. Those of one
/// priority stand together, the local one first.
fn loads(strengths: &[Strength]) -> (Vec<f64>, f64) {
    let of_priority = |priority: u32, what: fn(&Strength) -> u64| -> u64 {
        let same = strengths.iter().filter(|each| each.priority == priority);
        same.map(what).sum()
    };
    let health = |priority: u32| {
        let all = of_priority(priority, |each| each.all) as f64;
        (OVERPROVISIONING * of_priority(priority, |each| each.usable) as f64 / all).min(1.0)
    };
    let priorities: BTreeSet<u32> = strengths.iter().map(|each| each.priority).collect();
    let carried: f64 = priorities
        .iter()
        .map(|&each| health(each))
        .sum::<f64>()
        .min(1.0);
    if carried == 0.0 {
        return (vec![0.0; strengths.len()], 0.0);
    }
    let mut left = 1.0;
    let mut shares = Vec::with_capacity(strengths.len());
    for priority in priorities {
        let load = (health(priority) / carried).min(left);
        left -= load;
        let same: Vec<&Strength> = strengths
            .iter()
            .filter(|each| each.priority == priority)
            .collect();
        match same[..] {
            [local, remote] => {
                let local = local_share(local, remote);
                shares.extend([load * local, load * (1.0 - local)]);
            }
            _ => shares.push(load),
        }
    }
    (shares, carried)
}

/// Of the requests to one priority.
fn local_share(local: &Strength, remote: &Strength) -> f64 {
    if remote.usable == 0 {
        return 1.0;
    }
    let fair = (local.all + remote.all) as f64 / local.zones as f64;
    (OVERPROVISIONING * local.usable as f64 / fair).min(1.0)
}

/// The endpoints of one level at the moment of a pick.
struct Part<'a> {
    view: &'a View<'a>,
    members: &'a [usize],
}

impl Endpoints for Part<'_> {
    #[inline]
    fn accepts(&self, index: usize, random: u64) -> bool {
        self.view.accepts(self.members[index], random)
    }

    #[inline]
    fn accepts_hashed(&self, index: usize) -> bool {
        self.view.accepts_hashed(self.members[index])
    }

    fn in_flight(&self, index: usize) -> u64 {
        self.view.in_flight(self.members[index])
    }

    fn total_in_flight(&self) -> u64 {
        self.view.total_in_flight()
    }

    fn latency_us(&self, index: usize) -> f64 {
        self.view.latency_us(self.members[index])
    }
}

#[cfg(test)]
mod tests;
