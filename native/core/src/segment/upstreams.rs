//! What all workers know together of services and endpoints. A place is a label's id, so what is
//! known outlives a reload of the configuration and the death of any process.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use super::labels::MAX_LABELS;
use crate::breaker::BreakerCell;
use crate::endpoint::EndpointCell;
use crate::estimate::Quantile;

/// Pages of labels that name neither a service nor an endpoint are never touched and take no memory.
#[repr(C, align(64))]
pub struct Upstreams {
    endpoints: [EndpointCell; MAX_LABELS],
    breakers: [BreakerCell; MAX_LABELS],
    /// Share of a canary, permille plus one; 0 = as configured.
    shares: [AtomicU32; MAX_LABELS],
    /// Of the latencies of services that send hedges.
    latencies: [Quantile; MAX_LABELS],
}

impl Upstreams {
    /// An id that was never given out has the place of "other".
    pub fn endpoint(&self, label: u32) -> &EndpointCell {
        self.endpoints
            .get(label as usize)
            .unwrap_or(&self.endpoints[0])
    }

    /// Permille; None = as configured.
    pub fn share(&self, label: u32) -> Option<u32> {
        let share = self.shares.get(label as usize)?;
        share.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Only the control process writes this.
    pub fn set_share(&self, label: u32, permille: Option<u32>) {
        if let Some(share) = self.shares.get(label as usize) {
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
