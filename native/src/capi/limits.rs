//! Limits for Cython. As in `capi`, all pointers are trusted.

use super::{GwRegion, GwSegment};
use gateway_core::limiter::{Ask, Limits, Quota, TICK_NS};

/// The rules behind `gateway._core.Limits.address`.
pub type GwLimits = Limits;

/// May `key` have `weight` more under a rule? `enforced` 0: only counted.
#[repr(C)]
pub struct GwAsk {
    pub rule: u32,
    pub weight: u32,
    pub enforced: u32,
    pub reserved: u32,
    pub key: u64,
}

/// The answer. A lease that is refused with `retry_ns` 0 does not know: ask the store.
#[repr(C)]
pub struct GwQuota {
    pub allowed: u32,
    pub wants_more: u32,
    pub remaining: u64,
    pub reset_ns: u64,
    pub retry_ns: u64,
}

// The same layout as what they stand for, so that a pointer to one is a pointer to the other.
const _: () = assert!(size_of::<GwAsk>() == size_of::<Ask>());
const _: () = assert!(size_of::<GwQuota>() == size_of::<Quota>());

/// 1 if all enforced rules allow it, and then each has it; else 0, and none of them has.
///
/// # Safety
/// See the module's head; `asks` and `out` have `count` entries.
#[no_mangle]
pub unsafe extern "C" fn gw_limits_acquire(
    segment: *const GwSegment,
    limits: *const GwLimits,
    asks: *const GwAsk,
    count: usize,
    now_ns: u64,
    out: *mut GwQuota,
) -> u32 {
    // SAFETY: the caller's promise.
    let (segment, limits, asks, out) = unsafe {
        (
            &*segment,
            &*limits,
            std::slice::from_raw_parts(asks.cast::<Ask>(), count),
            std::slice::from_raw_parts_mut(out.cast::<Quota>(), count),
        )
    };
    u32::from(limits.acquire(&segment.limits(), asks, now_ns, out))
}

/// Gives back what `gw_limits_acquire` with the same `now_ns` has taken.
///
/// # Safety
/// As for `gw_limits_acquire`.
#[no_mangle]
pub unsafe extern "C" fn gw_limits_refund(
    segment: *const GwSegment,
    limits: *const GwLimits,
    asks: *const GwAsk,
    count: usize,
    now_ns: u64,
    quotas: *const GwQuota,
) {
    // SAFETY: the caller's promise.
    let (segment, limits, asks, quotas) = unsafe {
        (
            &*segment,
            &*limits,
            std::slice::from_raw_parts(asks.cast::<Ask>(), count),
            std::slice::from_raw_parts(quotas.cast::<Quota>(), count),
        )
    };
    limits.refund(&segment.limits(), asks, quotas, now_ns);
}

/// Takes what a request has cost beyond what was asked for, whether it fits or not.
///
/// # Safety
/// As for `gw_limits_acquire`; `ask` is one question.
#[no_mangle]
pub unsafe extern "C" fn gw_limits_charge(
    segment: *const GwSegment,
    limits: *const GwLimits,
    ask: *const GwAsk,
    now_ns: u64,
) {
    // SAFETY: the caller's promise.
    let (segment, limits, ask) = unsafe { (&*segment, &*limits, &*ask.cast::<Ask>()) };
    limits.charge(&segment.limits(), ask, now_ns);
}

/// 1 if fewer than `limit` requests of `key` are under way, and this one is now.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_in_flight_enter(
    segment: *const GwSegment,
    key: u64,
    slot: u32,
    limit: u64,
    now_ns: u64,
) -> u32 {
    // SAFETY: the caller's promise.
    let flight = unsafe { (*segment).under_way() };
    u32::from(flight.enter(key, slot as usize, limit, now_ns / TICK_NS))
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_in_flight_leave(
    segment: *const GwSegment,
    key: u64,
    slot: u32,
    now_ns: u64,
) {
    // SAFETY: the caller's promise.
    let flight = unsafe { (*segment).under_way() };
    flight.leave(key, slot as usize, now_ns / TICK_NS);
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_metrics_limit_add(
    region: *const GwRegion,
    policy_label: u32,
    route_label: u32,
    counter: u32,
    delta: i64,
) {
    // SAFETY: the caller's promise.
    unsafe { &*region }.limit_add(policy_label, route_label, counter as usize, delta);
}
