//! What all workers know together of services and endpoints: by the label of a service, by the place
//! of an endpoint or part of a split. It outlives a reload of the configuration and the death of any process.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use super::labels::{MAX_LABELS, OTHER};
use super::places::MAX_PLACES;
use crate::breaker::BreakerCell;
use crate::endpoint::EndpointCell;
use crate::estimate::Quantile;

/// Pages of labels and places that nobody has are never touched and take no memory.
#[repr(C, align(64))]
pub struct Upstreams {
    endpoints: [EndpointCell; MAX_PLACES],
    breakers: [BreakerCell; MAX_LABELS],
    /// Share of a part of a split, permille plus one; 0 = as configured.
    shares: [AtomicU32; MAX_PLACES],
    /// Of the latencies of services that send hedges.
    latencies: [Quantile; MAX_LABELS],
}

impl Upstreams {
    /// A place that does not exist is that of "other", where nothing is ever known.
    pub fn endpoint(&self, place: u32) -> &EndpointCell {
        self.endpoints
            .get(place as usize)
            .unwrap_or(&self.endpoints[OTHER as usize])
    }

    /// Makes a place as new. Nobody may be using it.
    pub(super) fn clear(&self, place: u32) {
        self.endpoint(place).clear();
        self.set_share(place, None);
    }

    /// Permille; None = as configured.
    pub fn share(&self, place: u32) -> Option<u32> {
        let share = self.shares.get(place as usize)?;
        share.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Only the control process writes this. What found no place has its share as configured.
    pub fn set_share(&self, place: u32, permille: Option<u32>) {
        let share = self.shares.get(place as usize);
        if let Some(share) = share.filter(|_| place != OTHER) {
            share.store(
                permille.map_or(0, |permille| permille + 1),
                Ordering::Relaxed,
            );
        }
    }

    /// A quantile of a service's latencies: which one, the service says.
    pub fn latency(&self, label: u32) -> &Quantile {
        self.latencies
            .get(label as usize)
            .unwrap_or(&self.latencies[0])
    }

    pub fn breaker(&self, label: u32) -> &BreakerCell {
        self.breakers
            .get(label as usize)
            .unwrap_or(&self.breakers[0])
    }
}
