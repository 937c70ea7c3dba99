"""Replaces what was taken in advance by what the service says that the request has cost.

The answer is on its way and is not held up: what is owed is paid by the caller's later requests.
"""

from libc.stdint cimport uint32_t

from gateway.cext.head cimport find_named
from gateway.cext.lane cimport Lane, number_of_lane
from gateway.cext.native cimport GwField, GwQuota, gw_limits_charge, gw_limits_refund
from gateway.cext.rate_limit cimport MODE_MEMORY
from gateway.cext.worker cimport Worker

cdef enum:
    # A cost that takes more digits is a mistake of the service's.
    MAX_DIGITS = 7


cdef void remember(Exchange exchange, RateLimit limit, Allowance allowance, const GwAsk* ask,
                   uint64_t now_ns, str key, str name):
    cdef Charge charge = Charge()
    charge.limit, charge.allowance = limit, allowance
    charge.ask = ask[0]
    charge.now_ns = now_ns
    charge.key, charge.name = key, name
    # While the store is away a request costs as much as one on every host.
    charge.share = 1 if key is not None or limit.mode == MODE_MEMORY else exchange.worker.hosts
    if exchange.charges is None:
        exchange.charges = []
    exchange.charges.append(charge)


cdef void settle_costs(Exchange exchange, const Head* head) noexcept:
    """Once for each exchange, with the head of the answer that the client gets."""
    cdef Charge charge
    cdef int64_t cost
    charges, exchange.charges = exchange.charges, None
    for charge in charges:
        cost = told_cost(head, charge.limit.cost_field)
        if cost >= 0:
            charge.settle(exchange, cost)


cdef int64_t told_cost(const Head* head, bytes name) noexcept:
    """-1: there is no such field, or it is no whole number."""
    cdef const GwField* field = find_named(head, <const char*>name, len(name))
    return -1 if field == NULL else whole_number(head.base + field.value_off, field.value_len)


cdef int64_t whole_number(const char* text, uint32_t size) noexcept:
    cdef int64_t value = 0
    cdef uint32_t i
    if not 1 <= size <= MAX_DIGITS:
        return -1
    for i in range(size):
        if not 48 <= text[i] <= 57:
            return -1
        value = 10 * value + text[i] - 48
    return value


cdef class Charge:
    cdef void settle(self, Exchange exchange, int64_t cost) noexcept:
        cdef Worker worker = exchange.worker
        cdef GwQuota taken
        cdef int64_t more = cost * self.share - <int64_t>self.ask.weight
        if more == 0:
            return
        # Of a lease, this host gives back to itself; what is owed it takes from the store.
        if self.key is not None and (more > 0 or self.allowance.lease == 0):
            self.tell_store(exchange, more)
            return
        self.ask.weight = <uint32_t>min(<int64_t>0xFFFFFFFF, more if more > 0 else -more)
        if more > 0:
            gw_limits_charge(worker.segment_address, exchange.plan.limits_handle, &self.ask,
                             worker.clock.now_ns)
        else:
            taken.allowed = 1
            gw_limits_refund(worker.segment_address, exchange.plan.limits_handle, &self.ask, 1,
                             self.now_ns, &taken)

    cdef void tell_store(self, Exchange exchange, int64_t weight) noexcept:
        """If it is away, what was taken in advance stands."""
        cdef list lanes = exchange.worker.lanes
        cdef Lane lane = <Lane>lanes[number_of_lane(self.key, <uint32_t>len(lanes))]
        terms = self.allowance.store_terms(self.name if weight < 0 else None)
        if not lane.away:
            lane.charge(self.key, terms, weight)
