"""The stages: each reads what earlier ones filled, fills its own slots, and goes on, refuses or waits.

`match` comes first because every other decision belongs to a route. The rest of the order is written in
`compile_stages`, once; a route holds only the stages that it uses.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memset

from gateway.cext.authentication cimport authenticate, authorize
from gateway.cext.buffer cimport buffer_free, buffer_put, buffer_reserve
from gateway.cext.forward cimport forward
from gateway.cext.framing cimport BODY_LENGTH
from gateway.cext.head cimport TARGET_ASTERISK
from gateway.cext.limit cimport limit, limit_early
from gateway.cext.native cimport (
    GW_FOUND,
    GW_METHOD_NOT_ALLOWED,
    GwMatch,
    GwRequest,
    gw_path_normalize,
    gw_routes_allow,
    gw_routes_match,
)
from gateway.cext.networks cimport client_address
from gateway.cext.overload cimport CRITICAL, SHEDDABLE
from gateway.cext.plan cimport GO, REFUSED, Stage, refuse
from gateway.cext.refusal cimport (
    ADDRESS_DENIED,
    BAD_PATH,
    BODY_TOO_LARGE,
    METHOD_NOT_ALLOWED,
    OVERLOADED,
    ROUTE_NOT_FOUND,
)
from gateway.cext.worker cimport Worker

cdef void compile_stages(Route route, bint sheds) noexcept:
    """The order, once."""
    route.stage_count = 0
    if sheds and route.criticality != CRITICAL:
        add(route, shed)
    if route.allow is not None:
        add(route, check_address)
    if route.early_limits:
        add(route, limit_early)
    if route.accept:
        add(route, authenticate)
    if route.scopes is not None:
        add(route, authorize)
    if route.limits:
        add(route, limit)
    add(route, transform)
    add(route, forward)


cdef void add(Route route, Stage stage) noexcept:
    route.stages[route.stage_count] = stage
    route.stage_count += 1


cdef Verdict match(Exchange exchange) noexcept:
    """Fills `path` and `route`: 400 for a path that could be read in two ways, 404, 405."""
    cdef GwRequest request
    cdef GwMatch found
    cdef int32_t verdict
    if exchange.target.form == TARGET_ASTERISK:
        return refuse(exchange, ROUTE_NOT_FOUND)
    if not canonical_path(exchange) or not is_clean_query(exchange):
        return refuse(exchange, BAD_PATH)
    if exchange.path.size == 7 and memcmp(exchange.path.data, b"/health", 7) == 0 and exchange.method_id < 2:
        exchange.route = exchange.plan.health
        return GO
    describe(exchange, &request)
    verdict = gw_routes_match(exchange.plan.routes_handle, &request, &found)
    if verdict == GW_FOUND:
        exchange.route = <Route>exchange.plan.routes[found.route]
        return GO
    return refuse(exchange, METHOD_NOT_ALLOWED if verdict == GW_METHOD_NOT_ALLOWED else ROUTE_NOT_FOUND)


cdef bint canonical_path(Exchange exchange) noexcept:
    cdef const char* raw = exchange.request.base + exchange.target.path_off
    cdef size_t size = exchange.target.path_size
    cdef int64_t written
    if size == 0:
        # `http://host` and `http://host?query` mean the root (RFC 9112 section 3.2.2).
        buffer_put(&exchange.path, b"/", 1)
        return True
    buffer_reserve(&exchange.path, 3 * size)
    written = gw_path_normalize(
        <const uint8_t*>raw, size, <uint8_t*>exchange.path.data, 3 * size,
        exchange.plan.keep_encoded_slash)
    if written < 0:
        return False
    exchange.path.size = <size_t>written
    return True


cdef bint is_clean_query(Exchange exchange) noexcept:
    """Printable ASCII without `#`: it is forwarded as it is."""
    cdef const char* query = exchange.request.base + exchange.target.query_off
    cdef uint32_t i
    for i in range(exchange.target.query_size):
        if not 33 <= query[i] <= 126 or query[i] == 35:
            return False
    return True


cdef void describe(Exchange exchange, GwRequest* request) noexcept:
    memset(request, 0, sizeof(GwRequest))
    request.method = <const uint8_t*>exchange.method
    request.method_len = exchange.method_size
    request.host = <const uint8_t*>exchange.host.data
    request.host_len = exchange.host.size
    request.path = <const uint8_t*>exchange.path.data
    request.path_len = exchange.path.size
    request.arena = <const uint8_t*>exchange.request.base
    request.query = request.arena + exchange.target.query_off
    request.query_len = exchange.target.query_size
    request.fields = exchange.request.fields
    request.field_count = exchange.request.count


cdef void write_allow(Exchange exchange, Buffer* fields) noexcept:
    """`Allow` of a 405: what the routes of this host and path take (RFC 9110 section 15.5.6)."""
    cdef GwRequest request
    cdef uint8_t methods[512]
    cdef size_t size = 0
    if exchange.path.size:
        describe(exchange, &request)
        size = gw_routes_allow(exchange.plan.routes_handle, &request, methods, sizeof(methods))
    buffer_put(fields, b"Allow: ", 7)
    buffer_put(fields, <const char*>methods, size)
    buffer_put(fields, b"\r\n", 2)


cdef Verdict shed(Exchange exchange) noexcept:
    """Refuses what matters less while the worker has too much to do."""
    cdef Worker worker = exchange.worker
    cdef bint sheddable = exchange.route.criticality == SHEDDABLE
    if exchange.plan.overload.admits(sheddable, worker.exchanges, worker.random()):
        return GO
    worker.shed += 1
    return refuse(exchange, OVERLOADED)


cdef Verdict check_address(Exchange exchange) noexcept:
    """Whether the caller's network may use the route; what is denied wins. Nobody is let in unseen."""
    cdef Route route = exchange.route
    cdef uint8_t address[16]
    if (not client_address(exchange, address) or route.deny.holds(address)
            or (route.allow.count and not route.allow.holds(address))):
        return refuse(exchange, ADDRESS_DENIED)
    return GO


cdef Verdict transform(Exchange exchange) noexcept:
    """Fills `upstream_path`; refuses a body that announces more than the route takes."""
    cdef Route route = exchange.route
    cdef size_t cut = len(route.cut)
    cdef const char* path = exchange.path.data
    cdef size_t size = exchange.path.size
    if (exchange.request_framing.kind == BODY_LENGTH and route.body_limit
            and exchange.request_framing.length > route.body_limit):
        return refuse(exchange, BODY_TOO_LARGE)
    exchange.upstream_path.size = 0
    if cut and not starts_with_segment(path, size, <const char*>route.cut, cut):
        cut = 0
    else:
        buffer_put(&exchange.upstream_path, <const char*>route.put, len(route.put))
    if cut == size and exchange.upstream_path.size == 0:
        buffer_put(&exchange.upstream_path, b"/", 1)
    buffer_put(&exchange.upstream_path, path + cut, size - cut)
    return GO


cdef bint starts_with_segment(const char* path, size_t size, const char* prefix, size_t length) noexcept:
    return size >= length and memcmp(path, prefix, length) == 0 and (size == length or path[length] == 47)


cdef Verdict respond_health(Exchange exchange) noexcept:
    cdef Buffer fields = Buffer(NULL, 0, 0)
    cdef Buffer body = Buffer(NULL, 0, 0)
    cdef bint draining = exchange.worker.draining
    buffer_put(&fields, b"Content-Type: application/json\r\nCache-Control: no-store\r\n", 57)
    if draining:
        buffer_put(&body, b'{"status":"draining"}', 21)
    else:
        buffer_put(&body, b'{"status":"ok"}', 15)
    exchange.answer(503 if draining else 200, &fields, &body)
    buffer_free(&fields)
    buffer_free(&body)
    return REFUSED
