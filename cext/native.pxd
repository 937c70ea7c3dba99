# The C face of the Rust structures (native/src/capi.rs). tools/check_capi.py compares the two.
#
# Plain `cdef extern` declarations: Cython writes the C prototypes and structs itself. Only opaque
# types need a line of C.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

# ---- Paths and routes ----------------------------------------------------------------------------

cdef extern from *:
    """
    typedef struct GwRoutes GwRoutes;
    """
    ctypedef struct GwRoutes:
        pass

# A header field: offsets into `arena`; the name as received, in any case.
ctypedef struct GwField:
    uint32_t name_off
    uint32_t name_len
    uint32_t value_off
    uint32_t value_len
    uint32_t id

# host: lower case, no port. path: canonical. query: without '?'.
ctypedef struct GwRequest:
    const uint8_t *method
    const uint8_t *host
    const uint8_t *path
    const uint8_t *query
    size_t method_len
    size_t host_len
    size_t path_len
    size_t query_len
    const uint8_t *arena
    const GwField *fields
    size_t field_count

ctypedef struct GwMatch:
    uint32_t route

# What gw_routes_match returns.
cdef enum:
    GW_FOUND = 0
    GW_NOT_FOUND = 1
    GW_METHOD_NOT_ALLOWED = 2

# What gw_path_normalize returns, negated.
cdef enum:
    GW_PATH_BAD_ESCAPE = 1
    GW_PATH_NUL = 2
    GW_PATH_CONTROL = 3
    GW_PATH_BACKSLASH = 4
    GW_PATH_ENCODED_SLASH = 5
    GW_PATH_DOUBLE_ENCODING = 6
    GW_PATH_NOT_UTF8 = 7
    GW_PATH_ABOVE_ROOT = 8
    GW_PATH_FRAGMENT = 9
    GW_PATH_NOT_ABSOLUTE = 10
    GW_PATH_NO_ROOM = 11

cdef extern int32_t gw_routes_match(
    const GwRoutes *routes, const GwRequest *request, GwMatch *out) noexcept nogil

# The length of the text, such as "GET, HEAD"; nothing is written if it is more than cap.
cdef extern size_t gw_routes_allow(
    const GwRoutes *routes, const GwRequest *request, uint8_t *out, size_t cap) noexcept nogil

# The length of the canonical path in out (cap >= 3 * len is enough), or an error as above.
cdef extern int64_t gw_path_normalize(
    const uint8_t *path, size_t len, uint8_t *out, size_t cap, uint32_t keep_encoded_slash,
) noexcept nogil
