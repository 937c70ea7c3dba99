"""Chooses between the services of a split: by what a request says, else by weight."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp

from gateway.cext.native cimport gw_split_share
from gateway.cext.request_key cimport find_cookie, find_header


cdef class Test:
    def __init__(self, dict spec, Subject subject):
        self.subject = subject
        self.claim = spec["name"]
        self.claimed = spec["value"]
        self.name = self.claim.encode()
        self.op = spec["op"]
        self.value = self.claimed.encode()

    cdef bint holds(self, Exchange exchange) noexcept:
        cdef const char* value = NULL
        cdef size_t size = 0, wanted = len(self.value)
        cdef bint found
        if self.subject == CLAIM:
            return self.holds_for(exchange.principal)
        if self.subject == COOKIE:
            found = find_cookie(exchange, self.name, &value, &size)
        else:
            found = find_header(exchange, self.name, &value, &size)
        if self.op == "present":
            return found
        if self.op == "absent":
            return not found
        if not found or (size < wanted if self.op == "prefix" else size != wanted):
            return False
        return memcmp(value, <const char*>self.value, wanted) == 0

    cdef bint holds_for(self, Principal principal):
        """A caller without the claim, or without a token, has none. Of a list one element is enough."""
        value = None if principal is None else principal.claims.get(self.claim)
        if self.op == "present":
            return value is not None
        if self.op == "absent":
            return value is None
        if isinstance(value, list):
            for element in <list>value:
                if self.fits(element):
                    return True
            return False
        return self.fits(value)

    cdef bint fits(self, value):
        """Texts as they are, numbers and true or false as JSON writes them; nothing else can be named."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        if not isinstance(value, str):
            return False
        return (<str>value).startswith(self.claimed) if self.op == "prefix" else value == self.claimed


cdef class Part:
    def __init__(self, dict spec, list services):
        self.service = services[spec["service"]]
        self.weight = spec["weight"]
        self.place = spec["place"]
        self.tests = [Test(test, HEADER) for test in spec["headers"]]
        self.tests += [Test(test, COOKIE) for test in spec["cookies"]]
        self.tests += [Test(test, CLAIM) for test in spec["claims"]]

    cdef bint takes(self, Exchange exchange) noexcept:
        """Whether the request asks for this part."""
        for test in self.tests:
            if not (<Test>test).holds(exchange):
                return False
        return len(self.tests) != 0


cdef class Split:
    def __init__(self, dict route, list services):
        self.parts = [Part(part, services) for part in route["split"]]
        self.total = sum(part["weight"] for part in route["split"])
        self.by = RequestKey(route["split_by"]) if route["split_by"] else None
        self.backwards = self.parts[::-1]

    cdef Service choose(self, Exchange exchange):
        cdef uint64_t bits
        cdef int64_t at, left = 1000
        cdef int32_t share
        cdef uint64_t weight = self.total
        for part in self.parts:
            if (<Part>part).takes(exchange):
                return (<Part>part).service
        bits = exchange.worker.random() if self.by is None else self.by.hash(exchange)
        # The lower half as a fraction (Lemire's multiply-shift): consistent hashing goes by the upper one.
        bits &= 0xFFFFFFFF
        at = <int64_t>((bits * 1000) >> 32)
        # From the upper end, so that who is with the new part, the last as a rule, stays there when it grows.
        for part in self.backwards:
            share = gw_split_share(exchange.worker.segment_address, (<Part>part).place)
            if share < 0:
                continue
            left -= share
            weight -= (<Part>part).weight
            if at >= left:
                return (<Part>part).service
        # What is left of the fraction, as a whole again.
        if left != 1000:
            bits = bits * 1000 // <uint64_t>left
        return self.by_weight(exchange, (bits * weight) >> 32)

    cdef Service by_weight(self, Exchange exchange, uint64_t at):
        """The part in whose weight `at` falls, of those that have no share."""
        for part in self.parts:
            if gw_split_share(exchange.worker.segment_address, (<Part>part).place) >= 0:
                continue
            if at < (<Part>part).weight:
                return (<Part>part).service
            at -= (<Part>part).weight
        return (<Part>self.parts[0]).service
