//! Paths and routes for Cython. As in `capi`, all pointers are trusted.

use super::{bytes, bytes_mut};
use gateway_core::path::{normalize_into, EncodedSlashes};
use gateway_core::routes::{Outcome, Request, RouteTable};

/// The table behind `gateway._core.RouteTable.address`.
pub type GwRoutes = RouteTable;

/// A header field: offsets into the arena of its request. `id` is the caller's own.
#[repr(C)]
pub struct GwField {
    pub name_off: u32,
    pub name_len: u32,
    pub value_off: u32,
    pub value_len: u32,
    pub id: u32,
}

/// What routing reads of a request. Host: lower case, no port. Path: canonical. Query: without `?`.
#[repr(C)]
pub struct GwRequest {
    pub method: *const u8,
    pub host: *const u8,
    pub path: *const u8,
    pub query: *const u8,
    pub method_len: usize,
    pub host_len: usize,
    pub path_len: usize,
    pub query_len: usize,
    pub arena: *const u8,
    pub fields: *const GwField,
    pub field_count: usize,
}

/// The winner: its place in the Plan's list of routes.
#[repr(C)]
pub struct GwMatch {
    pub route: u32,
}

/// Iterates over a request's fields as names and values.
#[derive(Clone)]
struct Fields<'a> {
    arena: *const u8,
    fields: std::slice::Iter<'a, GwField>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        let text = |offset: u32, length: u32| {
            // SAFETY: the offsets of a field lie inside the arena that came with it.
            unsafe { bytes(self.arena.add(offset as usize), length as usize) }
        };
        Some((
            text(field.name_off, field.name_len),
            text(field.value_off, field.value_len),
        ))
    }
}

/// # Safety
/// See the module's head.
unsafe fn read_request(request: &GwRequest) -> Request<'_, Fields<'_>> {
    // SAFETY: pointers and lengths of one request belong together.
    unsafe {
        let fields: &[GwField] = if request.field_count == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(request.fields, request.field_count)
        };
        Request {
            method: bytes(request.method, request.method_len),
            host: bytes(request.host, request.host_len),
            path: bytes(request.path, request.path_len),
            query: bytes(request.query, request.query_len),
            fields: Fields {
                arena: request.arena,
                fields: fields.iter(),
            },
        }
    }
}

/// 0: `out` holds the route; 1: no route; 2: a route, but not for this method.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_routes_match(
    routes: *const GwRoutes,
    request: *const GwRequest,
    out: *mut GwMatch,
) -> i32 {
    // SAFETY: the caller's promise.
    let (routes, request) = unsafe { (&*routes, read_request(&*request)) };
    match routes.find(&request) {
        Outcome::Found(route) => {
            // SAFETY: as above. The ranks of a table are 32 bits, and so its routes.
            unsafe { (*out).route = route as u32 };
            0
        }
        Outcome::NotFound => 1,
        Outcome::MethodNotAllowed => 2,
    }
}

/// Writes the value of `Allow`, such as `GET, HEAD`, and returns its length, never more than `cap`:
/// names that find no room are left out.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_routes_allow(
    routes: *const GwRoutes,
    request: *const GwRequest,
    out: *mut u8,
    cap: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let (routes, request, out) =
        unsafe { (&*routes, read_request(&*request), bytes_mut(out, cap)) };
    let mut written = 0;
    for name in routes.allowed(&request) {
        let separator = if written == 0 { "" } else { ", " };
        let end = written + separator.len() + name.len();
        let Some(target) = out.get_mut(written..end) else {
            break;
        };
        let (before, after) = target.split_at_mut(separator.len());
        before.copy_from_slice(separator.as_bytes());
        after.copy_from_slice(name.as_bytes());
        written = end;
    }
    written
}

/// Writes the canonical path and returns its length, or minus the number of a `PathError`. `out`
/// must not overlap `path`; three times the length is always enough.
///
/// # Safety
/// See the module's head.
#[no_mangle]
pub unsafe extern "C" fn gw_path_normalize(
    path: *const u8,
    len: usize,
    out: *mut u8,
    cap: usize,
    keep_encoded_slash: u32,
) -> i64 {
    let slashes = if keep_encoded_slash == 0 {
        EncodedSlashes::Reject
    } else {
        EncodedSlashes::Keep
    };
    // SAFETY: the caller's promise.
    let (path, out) = unsafe { (bytes(path, len), bytes_mut(out, cap)) };
    match normalize_into(path, slashes, out) {
        Ok(length) => length as i64,
        Err(error) => -(error as i64),
    }
}
