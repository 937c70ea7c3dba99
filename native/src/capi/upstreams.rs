//! Endpoints and breakers for Cython. As in `capi`, all pointers are trusted.

use super::{bytes, GwSegment};
use gateway_core::balancer::hash_key;
use gateway_core::breaker::{Admission, Breaker, Outcome, State};
use gateway_core::endpoint_set::EndpointSet;

/// The endpoints behind `gateway._core.EndpointSet.address`.
pub type GwEndpoints = EndpointSet;

/// The breaker behind `gateway._core.Breaker.address`.
pub type GwBreaker = Breaker<'static>;

/// -1: no endpoint may be used.
///
/// # Safety
/// See the module's head; `tried` holds `tried_count` indexes.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_pick(
    endpoints: *const GwEndpoints,
    now_ms: u64,
    random: u64,
    hash: u64,
    tried: *const u32,
    tried_count: usize,
) -> i32 {
    // SAFETY: the caller's promise; endpoints are only ever borrowed shared.
    let (endpoints, tried) = unsafe {
        let tried: &[u32] = if tried_count == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(tried, tried_count)
        };
        (&*endpoints, tried)
    };
    let found = endpoints.pick(now_ms, random, hash, tried);
    found.map_or(-1, |index| index as i32)
}

/// -1: there is none with this key, or it may not be used.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_find(
    endpoints: *const GwEndpoints,
    now_ms: u64,
    key: u64,
) -> i32 {
    // SAFETY: the caller's promise.
    let found = unsafe { &*endpoints }.find(now_ms, key);
    found.map_or(-1, |index| index as i32)
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_key(endpoints: *const GwEndpoints, index: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { &*endpoints }.key(index as usize)
}

/// # Safety
/// See the module's head; `index` comes from a pick.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_begin(endpoints: *const GwEndpoints, index: u32) {
    // SAFETY: the caller's promise.
    unsafe { &*endpoints }.begin(index as usize);
}

/// # Safety
/// As for `gw_endpoints_begin`.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_end(endpoints: *const GwEndpoints, index: u32) {
    // SAFETY: the caller's promise.
    unsafe { &*endpoints }.end(index as usize);
}

/// 1: the endpoint has been ejected for it.
///
/// # Safety
/// As for `gw_endpoints_begin`.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_report(
    endpoints: *const GwEndpoints,
    index: u32,
    failed: u32,
    latency_us: u64,
    now_ms: u64,
) -> u32 {
    // SAFETY: the caller's promise.
    let endpoints = unsafe { &*endpoints };
    u32::from(endpoints.report(index as usize, failed != 0, latency_us, now_ms))
}

/// # Safety
/// As for `gw_endpoints_begin`.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_outrun(
    endpoints: *const GwEndpoints,
    index: u32,
    latency_us: u64,
    now_ms: u64,
) {
    // SAFETY: the caller's promise.
    unsafe { &*endpoints }.outrun(index as usize, latency_us, now_ms);
}

/// Index of the endpoint that has been ejected by this call, or -1.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_endpoints_refresh(endpoints: *const GwEndpoints, now_ms: u64) -> i32 {
    // SAFETY: the caller's promise.
    let ejected = unsafe { &*endpoints }.refresh(now_ms);
    ejected.map_or(-1, |index| index as i32)
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_hash_key(key: *const u8, len: usize) -> u64 {
    // SAFETY: the caller's promise.
    hash_key(unsafe { bytes(key, len) })
}

/// What a breaker says to a request.
#[repr(C)]
pub struct GwAdmission {
    pub ticket: u32,
    /// The state that the breaker changed to with this request, or -1.
    pub entered: i32,
    /// ms; 0 = admitted.
    pub retry_after_ms: u64,
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_breaker_admit(
    breaker: *const GwBreaker,
    now_ms: u64,
    out: *mut GwAdmission,
) {
    // SAFETY: the caller's promise.
    let (breaker, out) = unsafe { (&*breaker, &mut *out) };
    *out = match breaker.admit(now_ms) {
        Admission::Admitted { ticket, entered } => GwAdmission {
            ticket,
            entered: entered.map_or(-1, |state| state as i32),
            retry_after_ms: 0,
        },
        Admission::Refused { retry_after_ms } => GwAdmission {
            ticket: 0,
            entered: -1,
            retry_after_ms,
        },
    };
}

/// The state that the breaker changed to with this report, or -1. `outcome`: 0 success, 1 failure,
/// 2 abandoned.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_breaker_report(
    breaker: *const GwBreaker,
    ticket: u32,
    outcome: u32,
    now_ms: u64,
    random: u64,
) -> i32 {
    let outcome = match outcome {
        0 => Outcome::Success,
        1 => Outcome::Failure,
        _ => Outcome::Abandoned,
    };
    // SAFETY: the caller's promise.
    let entered = unsafe { &*breaker }.report(ticket, outcome, now_ms, random);
    entered.map_or(-1, |state| state as i32)
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_breaker_is_closed(breaker: *const GwBreaker) -> u32 {
    // SAFETY: the caller's promise.
    u32::from(unsafe { &*breaker }.cell().state() == State::Closed)
}

/// Takes a latency of a service into the quantile that is kept for it.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_latency_observe(
    segment: *const GwSegment,
    label: u32,
    permille: u32,
    latency_us: u64,
) {
    // SAFETY: the caller's promise.
    let upstreams = unsafe { &*segment }.upstreams();
    upstreams.latency(label).observe(permille, latency_us);
}

/// That quantile, µs; -1: not known yet.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_latency_quantile(segment: *const GwSegment, label: u32) -> i64 {
    // SAFETY: the caller's promise.
    let found = unsafe { &*segment }.upstreams().latency(label).value_us();
    found.map_or(-1, |latency_us| latency_us as i64)
}

/// Share of a part of a split in permille; -1: as configured.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_split_share(segment: *const GwSegment, place: u32) -> i32 {
    // SAFETY: the caller's promise.
    let share = unsafe { &*segment }.upstreams().share(place);
    share.map_or(-1, |permille| permille as i32)
}
