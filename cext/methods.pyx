"""The table of methods, filled once from llhttp's list."""

from gateway.cext.native cimport (
    GW_METHOD_DELETE,
    GW_METHOD_GET,
    GW_METHOD_HEAD,
    GW_METHOD_OPTIONS,
    GW_METHOD_OTHER,
    GW_METHOD_PATCH,
    GW_METHOD_POST,
    GW_METHOD_PUT,
)

cdef enum:
    METHOD_COUNT = 64

cdef Method METHODS[METHOD_COUNT]

# In llhttp's order, from 0; 34 to 45 are RTSP's, which the data plane refuses; 46 is QUERY.
NAMES = (
    b"DELETE", b"GET", b"HEAD", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"TRACE", b"COPY", b"LOCK",
    b"MKCOL", b"MOVE", b"PROPFIND", b"PROPPATCH", b"SEARCH", b"UNLOCK", b"BIND", b"REBIND", b"UNBIND",
    b"ACL", b"REPORT", b"MKACTIVITY", b"CHECKOUT", b"MERGE", b"M-SEARCH", b"NOTIFY", b"SUBSCRIBE",
    b"UNSUBSCRIBE", b"PATCH", b"PURGE", b"MKCALENDAR", b"LINK", b"UNLINK", b"SOURCE",
)
METRICS_IDS = {
    b"GET": GW_METHOD_GET, b"HEAD": GW_METHOD_HEAD, b"POST": GW_METHOD_POST, b"PUT": GW_METHOD_PUT,
    b"DELETE": GW_METHOD_DELETE, b"PATCH": GW_METHOD_PATCH, b"OPTIONS": GW_METHOD_OPTIONS,
}
# RFC 9110 section 9.2.2, and QUERY (safe by its definition).
IDEMPOTENT = {b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PROPFIND", b"SEARCH", b"REPORT", b"QUERY"}


cdef const Method* method_of(int number) noexcept:
    return &METHODS[number & (METHOD_COUNT - 1)]


cdef void set_method(int number, bytes name) except *:
    METHODS[number].name = name
    METHODS[number].size = <uint32_t>len(name)
    METHODS[number].metrics_id = METRICS_IDS.get(name, GW_METHOD_OTHER)
    METHODS[number].idempotent = name in IDEMPOTENT


cdef int number
UNKNOWN = b"OTHER"
QUERY = b"QUERY"
for number in range(METHOD_COUNT):
    set_method(number, UNKNOWN)
for number in range(len(NAMES)):
    set_method(number, NAMES[number])
set_method(46, QUERY)
