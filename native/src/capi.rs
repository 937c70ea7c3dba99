//! The C face: what Cython calls. `cext/native.pxd` declares the same; `tools/check_capi.py`
//! compares the two.
//!
//! All functions trust their pointers. Those to structures come from the `address` of a Python
//! object that the caller keeps alive; those to bytes are valid for the call and for the length
//! given with them, and may be null where it is zero.

mod limits;
mod routes;
mod upstreams;

// ---- Bytes ------------------------------------------------------------------------------------

/// # Safety
/// `start` points to `length` readable bytes for as long as the result is used, or `length` is 0.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// # Safety
/// `start` points to `length` writable bytes that nothing else uses meanwhile, or `length` is 0.
unsafe fn bytes_mut<'a>(start: *mut u8, length: usize) -> &'a mut [u8] {
    if length == 0 {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
}

use gateway_core::lru::Lru;
use gateway_core::segment::{Region, RevocationKind, Segment, SeriesKey};
use gateway_core::timer_wheel::TimerWheel;

/// Made by `gw_wheel_new`. Belongs to one thread.
pub type GwWheel = TimerWheel;

/// The slot behind `gateway._core.Segment.worker_address`; the process that calls is the one that
/// writes to it.
pub type GwRegion = Region;

/// The segment behind `gateway._core.Segment.address`.
pub type GwSegment = Segment;

/// A hash under the instance's secret; never 0.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_segment_hash(
    segment: *const GwSegment,
    data: *const u8,
    len: usize,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { (*segment).hash_key().hash(bytes(data, len)) }
}

/// Goes up whenever something is revoked.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_revocations_epoch(segment: *const GwSegment) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { &*segment }.revocations().epoch()
}

/// Whether what was issued at `issued_s` (Unix time) to a name is refused: 0 or 1. `hash`: of the
/// name, by `gw_segment_hash`. `kind`: GwRevocationKind; there is no other.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_is_revoked(
    segment: *const GwSegment,
    kind: u32,
    hash: u64,
    issued_s: u64,
) -> u32 {
    let Some(kind) = RevocationKind::ALL.get(kind as usize) else {
        return 1;
    };
    // SAFETY: the caller's promise.
    let revocations = unsafe { &*segment }.revocations();
    u32::from(revocations.is_revoked(*kind, hash, issued_s))
}

/// Made by `gw_lru_new`. Belongs to one thread.
pub type GwLru = Lru;

/// What stands for no slot.
const NO_SLOT: u32 = 0;

/// A new table, to be freed with `gw_lru_free`. It takes its hash key from the segment.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_new(
    segment: *const GwSegment,
    max_entries: u32,
    max_bytes: usize,
) -> *mut GwLru {
    // SAFETY: the caller's promise.
    let key = unsafe { &*segment }.hash_key();
    Box::into_raw(Box::new(Lru::new(key, max_entries, max_bytes)))
}

/// # Safety
/// `lru` comes from `gw_lru_new` and is not used afterwards. Null is ignored.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_free(lru: *mut GwLru) {
    if !lru.is_null() {
        // SAFETY: the caller's promise: a box, and its last use.
        drop(unsafe { Box::from_raw(lru) });
    }
}

/// The slot of a string that is there, else 0.
///
/// # Safety
/// `lru` comes from `gw_lru_new`; nobody else uses it during the call. See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_find(lru: *mut GwLru, data: *const u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let (lru, data) = unsafe { (&mut *lru, bytes(data, len)) };
    lru.find(data).unwrap_or(NO_SLOT)
}

/// A slot that is given up so that a string of `len` bytes finds room; 0 when none has to be.
///
/// # Safety
/// As for `gw_lru_find`.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_evict_for(lru: *mut GwLru, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { &mut *lru }.evict_for(len).unwrap_or(NO_SLOT)
}

/// A slot for a string, or 0 when there is no room.
///
/// # Safety
/// As for `gw_lru_find`.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_insert(lru: *mut GwLru, data: *const u8, len: usize) -> u32 {
    // SAFETY: the caller's promise.
    let (lru, data) = unsafe { (&mut *lru, bytes(data, len)) };
    lru.insert(data).unwrap_or(NO_SLOT)
}

/// # Safety
/// As for `gw_lru_find`; `slot` is in use.
#[no_mangle]
pub unsafe extern "C" fn gw_lru_remove(lru: *mut GwLru, slot: u32) {
    // SAFETY: the caller's promise.
    unsafe { &mut *lru }.remove(slot);
}

/// A new wheel, to be freed with `gw_wheel_free`.
#[no_mangle]
pub extern "C" fn gw_wheel_new(now_ms: u64) -> *mut GwWheel {
    Box::into_raw(Box::new(GwWheel::new(now_ms)))
}

/// # Safety
/// `wheel` comes from `gw_wheel_new` and is not used afterwards. Null is ignored.
#[no_mangle]
pub unsafe extern "C" fn gw_wheel_free(wheel: *mut GwWheel) {
    if !wheel.is_null() {
        // SAFETY: the caller's promise: a box, and its last use.
        drop(unsafe { Box::from_raw(wheel) });
    }
}

/// # Safety
/// `wheel` comes from `gw_wheel_new`; nobody else uses it during the call.
#[no_mangle]
pub unsafe extern "C" fn gw_wheel_insert(wheel: *mut GwWheel, due_ms: u64) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { &mut *wheel }.insert(due_ms)
}

/// Does nothing for a handle that was removed.
///
/// # Safety
/// As for `gw_wheel_insert`.
#[no_mangle]
pub unsafe extern "C" fn gw_wheel_update(wheel: *mut GwWheel, handle: u32, due_ms: u64) {
    // SAFETY: the caller's promise.
    unsafe { &mut *wheel }.update(handle, due_ms);
}

/// Does nothing for a handle that was removed.
///
/// # Safety
/// As for `gw_wheel_insert`.
#[no_mangle]
pub unsafe extern "C" fn gw_wheel_remove(wheel: *mut GwWheel, handle: u32) {
    // SAFETY: the caller's promise.
    unsafe { &mut *wheel }.remove(handle);
}

/// # Safety
/// As for `gw_wheel_insert`; `due` has room for `cap` handles, at least one.
#[no_mangle]
pub unsafe extern "C" fn gw_wheel_advance(
    wheel: *mut GwWheel,
    now_ms: u64,
    due: *mut u32,
    cap: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let (wheel, due) = unsafe { (&mut *wheel, std::slice::from_raw_parts_mut(due, cap)) };
    wheel.advance(now_ms, due)
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_metrics_observe(
    region: *const GwRegion,
    route_label: u32,
    service_label: u32,
    method: u32,
    status: u32,
    duration_ns: u64,
) {
    let key = SeriesKey {
        route: route_label,
        service: service_label,
        method,
        status,
    };
    // SAFETY: the caller's promise; a region is atomics, so a shared reference is enough.
    unsafe { &*region }.observe(key, duration_ns);
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_metrics_add(region: *const GwRegion, counter: u32, delta: i64) {
    // SAFETY: the caller's promise.
    unsafe { &*region }.add(counter as usize, delta);
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_metrics_set(region: *const GwRegion, gauge: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { &*region }.set(gauge as usize, value);
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_metrics_service_add(
    region: *const GwRegion,
    service_label: u32,
    counter: u32,
    delta: i64,
) {
    // SAFETY: the caller's promise.
    unsafe { &*region }.service_add(service_label, counter as usize, delta);
}

/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_segment_beat(region: *const GwRegion, now_ms: u64) {
    // SAFETY: the caller's promise.
    unsafe { &*region }.beat(now_ms);
}
