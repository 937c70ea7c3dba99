"""Whom a policy counts, and how much he has."""

import hashlib

from gateway import _core

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memset, strlen

from gateway.cext.buffer cimport buffer_put, buffer_put_char, buffer_put_uint
from gateway.cext.head cimport find_named
from gateway.cext.lane cimport AskMode, encoded, encoded_question
from gateway.cext.native cimport GwField, gw_segment_hash
from gateway.cext.networks cimport client_address
from gateway.cext.principal cimport name_hash

KEYS = {
    "user": KEY_USER, "client": KEY_CLIENT, "api_key": KEY_API_KEY, "ip": KEY_IP, "route": KEY_ROUTE,
    "service": KEY_SERVICE, "global": KEY_GLOBAL, "header": KEY_HEADER, "claim": KEY_CLAIM,
}
MODES = {"memory": MODE_MEMORY, "exact": MODE_EXACT, "leased": MODE_LEASED}
FAILURES = {"local": FAIL_LOCAL, "allow": FAIL_ALLOW, "deny": FAIL_DENY}
cdef enum:
    # EXACT_WINDOW of gateway/limits/decide.lua
    MAX_STORE_LOG = 1000
    # Bytes of a name in a key. Longer ones are nobody's name, and would take the store's memory.
    MAX_NAME = 128

cdef extern from "<arpa/inet.h>" nogil:
    enum:
        AF_INET6
        INET6_ADDRSTRLEN
    const char* inet_ntop(int, const void*, char*, unsigned int)

KINDS = {"token_bucket": "bucket", "sliding_window": "sliding", "fixed_window": "fixed"}


cdef class Allowance:
    cdef bytes question(self, int64_t weight, AskMode mode):
        """As the script takes it. Nearly all requests cost the same."""
        if self.asked is None or weight != self.asked_weight or mode != self.asked_mode:
            self.asked = encoded_question(self.terms, weight, mode)
            self.asked_weight, self.asked_mode = weight, mode
        return self.asked

    cdef tuple store_terms(self, str name):
        """To give back what the store's log holds under a name; of other kinds there is none."""
        return self.kind if name is None else (*self.kind[:3], name)


cdef class Tier:
    pass


cdef tuple build_limits(list specs, segment):
    """The policies, and the rules of all their allowances."""
    rules = []
    limits = [build_limit(spec, rules, segment) for spec in specs]
    return limits, _core.Limits(rules)


cdef RateLimit build_limit(dict spec, list rules, segment):
    cdef RateLimit limit = RateLimit()
    limit.name = spec["name"]
    limit.algorithm = spec["algorithm"]
    limit.label = spec["label"]
    limit.key_word = spec["key"].encode() + b":"
    limit.key = KEYS[spec["key"]]
    limit.field = spec["argument"].encode()
    limit.claim = spec["argument"]
    limit.mode = MODES[spec["mode"]]
    limit.on_failure = FAILURES[spec["on_failure"]]
    limit.weight = spec["weight"]
    if spec["weight_header"]:
        limit.cost_field = spec["weight_header"].encode()
    limit.ipv6_prefix = spec["ipv6_prefix"]
    limit.enforced = not spec["dry_run"]
    limit.early = spec["early"]
    limit.concurrent = limit.algorithm == "concurrent"
    limit.quoted = b'"%b"' % limit.name.encode()
    limit.key_tail = f":{limit.name}".encode()
    limit.allowance = build_allowance(limit, spec["allowance"], rules, segment)
    limit.tiers = [build_tier(limit, tier, rules, segment) for tier in spec["tiers"]]
    return limit


cdef Tier build_tier(RateLimit limit, dict spec, list rules, segment):
    cdef Tier tier = Tier()
    tier.test, tier.claim, tier.value = spec["test"], spec["claim"], spec["value"]
    if spec["allowance"] is not None:
        tier.allowance = build_allowance(limit, spec["allowance"], rules, segment)
    return tier


cdef Allowance build_allowance(RateLimit limit, dict spec, list rules, segment):
    cdef Allowance allowance = Allowance()
    allowance.limit, allowance.burst, allowance.lease = spec["limit"], spec["burst"], spec["lease"]
    allowance.period_ms = 1000 * spec["period"]
    allowance.kind = (limit.algorithm, allowance.limit, allowance.period_ms, allowance.burst)
    allowance.terms = encoded(allowance.kind)
    allowance.is_store_log = limit.algorithm == "sliding_window" and allowance.limit <= MAX_STORE_LOG
    # rate_limit:user:ALICE:POLICY, of a log rate_limit:sliding:user:…: what is kept in another way has
    # another key, since tiers of one policy may differ in it.
    forms = {"token_bucket": "", "fixed_window": "fixed:", "sliding_window": "sliding_counter:"}
    form = "sliding:" if allowance.is_store_log else forms.get(limit.algorithm, "")
    allowance.key_head = f"rate_limit:{form}".encode()
    # A state of another form is another cell's: a reload that changes the form begins anew.
    is_log = limit.algorithm == "sliding_window" and allowance.limit <= _core.MAX_EXACT_WINDOW
    form = f"{limit.name}/{limit.algorithm}/{spec['period']}/{is_log}"
    allowance.salt = segment.hash(form.encode())
    if limit.concurrent:
        return allowance
    allowance.rule = len(rules)
    rules.append((KINDS[limit.algorithm], allowance.limit, spec["period"] * 10 ** 9, allowance.burst))
    if allowance.lease:
        allowance.lease_rule = len(rules)
        rules.append(("lease", allowance.lease, 0, 0))
    # The quota, and the seconds in which it comes back.
    window = -(-spec["burst"] * spec["period"] // spec["limit"])
    allowance.policy = b"%b;q=%d;w=%d" % (limit.quoted, allowance.burst, window)
    return allowance


cdef class RateLimit:
    cdef Allowance allowance_for(self, Principal principal):
        """None: not limited."""
        cdef Tier tier
        if principal is not None:
            for tier in self.tiers:
                if fits(tier, principal):
                    return tier.allowance
        return self.allowance

    cdef uint64_t key_of(self, Exchange exchange, Allowance allowance) noexcept:
        """A number for whom the policy counts. Who has no such name counts by his address."""
        cdef uint64_t of = 0
        cdef Principal principal = exchange.principal
        if self.key == KEY_GLOBAL:
            return mixed(allowance.salt)
        if self.key == KEY_ROUTE:
            return mixed(allowance.salt ^ exchange.route.label)
        if self.key == KEY_SERVICE:
            return mixed(allowance.salt ^ exchange.route.service_label)
        if self.key == KEY_HEADER:
            of = self.field_hash(exchange)
        elif principal is not None:
            if self.key == KEY_USER:
                of = principal.user_hash
            elif self.key == KEY_CLIENT:
                of = principal.client_hash
            elif self.key == KEY_API_KEY:
                of = principal.key_hash
            elif self.key == KEY_CLAIM:
                of = name_hash(exchange.worker.segment_address, claim_text(principal, self.claim))
        if of == 0:
            of = self.address_hash(exchange)
        return mixed(allowance.salt ^ of)

    cdef uint64_t field_hash(self, Exchange exchange) noexcept:
        """Of the header field's first value; 0: there is none."""
        cdef const GwField* field = find_named(&exchange.request, <const char*>self.field, len(self.field))
        if field == NULL:
            return 0
        return gw_segment_hash(exchange.worker.segment_address,
                               <const uint8_t*>exchange.request.base + field.value_off, field.value_len)

    cdef uint64_t address_hash(self, Exchange exchange) noexcept:
        cdef uint8_t address[16]
        self.network_of(exchange, address)
        return gw_segment_hash(exchange.worker.segment_address, address, 16)

    cdef void network_of(self, Exchange exchange, uint8_t* address) noexcept:
        """The caller's address; of IPv6 the network that one subscriber has."""
        cdef uint32_t whole = self.ipv6_prefix // 8
        client_address(exchange, address)
        if memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0 or whole == 16:
            return
        address[whole] &= <uint8_t>(0xFF00 >> (self.ipv6_prefix % 8))
        memset(address + whole + 1, 0, 15 - whole)

    cdef void put_key(self, Exchange exchange, Allowance allowance, Buffer* out) noexcept:
        """Where a store keeps the state; a lane's tag may follow."""
        buffer_put(out, <const char*>allowance.key_head, len(allowance.key_head))
        self.put_who(exchange, out)
        buffer_put(out, <const char*>self.key_tail, len(self.key_tail))

    cdef void put_who(self, Exchange exchange, Buffer* out) noexcept:
        """Whom the policy counts, as text: `user:alice`, escaped so that nothing in it is special."""
        cdef Principal principal = exchange.principal
        if self.key == KEY_GLOBAL:
            buffer_put(out, b"global", 6)
        elif self.key == KEY_ROUTE:
            self.put_named(exchange, exchange.route.path, out)
        elif self.key == KEY_SERVICE:
            self.put_named(exchange, exchange.route.service.name, out)
        elif self.key == KEY_HEADER:
            self.put_field(exchange, out)
        elif principal is None or self.key == KEY_IP:
            self.put_address(exchange, out)
        elif self.key == KEY_USER:
            self.put_named(exchange, principal.user, out)
        elif self.key == KEY_CLIENT:
            self.put_named(exchange, principal.client, out)
        elif self.key == KEY_API_KEY:
            self.put_named(exchange, principal.key, out)
        else:
            self.put_named(exchange, claim_text(principal, self.claim), out)

    cdef void put_named(self, Exchange exchange, str name, Buffer* out) noexcept:
        cdef Py_ssize_t size = 0
        cdef const char* text = NULL
        if name:
            text = PyUnicode_AsUTF8AndSize(name, &size)
        self.put_text(exchange, text, <size_t>size, out)

    cdef void put_field(self, Exchange exchange, Buffer* out) noexcept:
        cdef const GwField* field = find_named(&exchange.request, <const char*>self.field, len(self.field))
        if field == NULL:
            self.put_address(exchange, out)
        else:
            self.put_text(exchange, exchange.request.base + field.value_off, field.value_len, out)

    cdef void put_text(self, Exchange exchange, const char* text, size_t size, Buffer* out) noexcept:
        cdef size_t i, plain = 0
        if size == 0:
            self.put_address(exchange, out)
            return
        buffer_put(out, <const char*>self.key_word, len(self.key_word))
        if size > MAX_NAME:
            # By a hash that all hosts agree about.
            digest = b"sha256:" + hashlib.sha256(text[:size]).hexdigest().encode()
            buffer_put(out, <const char*>digest, len(digest))
            return
        for i in range(size):
            if not is_plain(text[i]):
                buffer_put(out, text + plain, i - plain)
                buffer_put_char(out, 37)
                buffer_put_char(out, b"0123456789ABCDEF"[<unsigned char>text[i] >> 4])
                buffer_put_char(out, b"0123456789ABCDEF"[<unsigned char>text[i] & 15])
                plain = i + 1
        buffer_put(out, text + plain, size - plain)

    cdef void put_address(self, Exchange exchange, Buffer* out) noexcept:
        cdef uint8_t address[16]
        cdef char text[INET6_ADDRSTRLEN]
        cdef int i
        self.network_of(exchange, address)
        buffer_put(out, b"ip:", 3)
        if memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
            # inet_ntop goes by way of sprintf.
            for i in range(12, 16):
                buffer_put_uint(out, address[i])
                if i < 15:
                    buffer_put_char(out, 46)
        else:
            inet_ntop(AF_INET6, address, text, sizeof(text))
            buffer_put(out, text, strlen(text))


cdef inline bint is_plain(char c) noexcept:
    """Letters, digits and `-._~@/,=+`."""
    return (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or 43 <= c <= 47 or c == 95 or c == 126
            or c == 64 or c == 61)


cdef str claim_text(Principal principal, str claim):
    value = principal.claims.get(claim)
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


cdef bint fits(Tier tier, Principal principal) noexcept:
    if tier.test == "scope":
        return tier.value in principal.scopes
    if tier.test == "client":
        return tier.value == principal.client
    if tier.test == "policy":
        return tier.value == principal.policy
    return tier.value == claim_text(principal, tier.claim)


cdef inline uint64_t mixed(uint64_t bits) noexcept:
    """splitmix64's finaliser: all bits of a key depend on all of it. Never 0."""
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ULL
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL
    bits ^= bits >> 31
    return bits if bits else 1
