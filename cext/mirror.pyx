"""Chooses the requests of a route that are copied for a mirror, within its bounds."""

from gateway.cext.framing cimport BODY_LENGTH
from gateway.cext.mirrored cimport make_copy
from gateway.cext.native cimport GW_MIRROR_DROPPED_TOTAL, gw_metrics_service_add


cdef class Mirror:
    def __init__(self, dict spec, list services, int workers):
        self.service = services[spec["service"]]
        self.share = round(spec["share"] * 2**32)
        self.by = RequestKey(spec["by"]) if spec["by"] else None
        self.body_limit = spec["max_body"]
        self.max_requests = max(1, -(-spec["max_requests"] // workers))
        self.credentials = spec["credentials"]

    cdef void reflect(self, Exchange exchange) noexcept:
        """Copies the request, if it is drawn and there is room."""
        cdef uint64_t bits = exchange.worker.random() if self.by is None else self.by.hash(exchange)
        cdef set under_way
        # The lower half, as a split does: who is mirrored at 5 % is so at 20 %, too.
        if (bits & 0xFFFFFFFF) >= self.share:
            return
        under_way = exchange.worker.copies.setdefault(self.service.label, set())
        if len(under_way) >= self.max_requests or exchange.held.size > self.body_limit or (
                exchange.request_framing.kind == BODY_LENGTH
                and exchange.request_framing.length > self.body_limit):
            self.drop(exchange)
        else:
            make_copy(self, exchange, under_way)

    cdef void drop(self, Exchange exchange) noexcept:
        gw_metrics_service_add(exchange.worker.region, self.service.label, GW_MIRROR_DROPPED_TOTAL, 1)
