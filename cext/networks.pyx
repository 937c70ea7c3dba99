"""Whether an address lies in a network, and whose address counts behind trusted proxies."""

import ipaddress

from libc.stdlib cimport abort, free, malloc
from libc.string cimport memchr, memcmp, memcpy

from gateway.cext.field_name cimport FIELD_FORWARDED_FOR
from gateway.cext.head cimport field_value, head_has

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    int AF_INET
    int AF_INET6

cdef enum:
    MAX_ADDRESS_TEXT = 45       # INET6_ADDRSTRLEN without its NUL
    MAX_PORT_DIGITS = 5

cdef enum Walk:
    AMONG_PROXIES
    AT_CLIENT
    AT_NONSENSE


cdef class Networks:
    def __init__(self, texts):
        self.networks = <Network*>malloc(max(1, len(texts)) * sizeof(Network))
        if self.networks == NULL:
            abort()
        for text in texts:
            network = ipaddress.ip_network(text, strict=False)
            packed, prefix = network.network_address.packed, network.prefixlen
            if network.version == 4:
                packed, prefix = bytes(10) + b"\xff\xff" + packed, prefix + 96
            memcpy(self.networks[self.count].address, <const char*>packed, 16)
            self.networks[self.count].prefix = prefix
            self.count += 1

    def __dealloc__(self):
        free(self.networks)

    cdef bint holds(self, const uint8_t* address) noexcept:
        """Whether an address (16 bytes, IPv4 mapped) lies in one of them."""
        cdef size_t i
        cdef uint32_t whole, rest
        for i in range(self.count):
            whole = self.networks[i].prefix // 8
            rest = self.networks[i].prefix % 8
            if memcmp(self.networks[i].address, address, whole) == 0 and (
                    rest == 0 or (self.networks[i].address[whole] ^ address[whole]) >> (8 - rest) == 0):
                return True
        return False


cdef bint client_address(Exchange exchange, uint8_t* out) noexcept:
    """Who sent the request: behind trusted proxies, the last address that is not one of theirs.

    False where a proxy names none: `out` is then the proxy's own.
    """
    cdef uint32_t i
    cdef Walk walk
    memcpy(out, exchange.peer_address, 16)
    if not exchange.trusted or not head_has(&exchange.request, FIELD_FORWARDED_FOR):
        return True
    for i in range(exchange.request.count, 0, -1):
        if exchange.request.fields[i - 1].id != FIELD_FORWARDED_FOR:
            continue
        walk = walk_back(exchange, field_value(&exchange.request, i - 1),
                         exchange.request.fields[i - 1].value_len, out)
        if walk != AMONG_PROXIES:
            return walk == AT_CLIENT
    return True


cdef Walk walk_back(Exchange exchange, const char* text, size_t size, uint8_t* out) noexcept:
    """Reads a list of addresses from its end."""
    cdef size_t end = size, start
    while True:
        start = end
        while start and text[start - 1] != 44:
            start -= 1
        if not read_address(text + start, end - start, out):
            return AT_NONSENSE
        if not exchange.plan.trusted.holds(out):
            return AT_CLIENT
        if start == 0:
            return AMONG_PROXIES
        end = start - 1


cdef bint read_address(const char* text, size_t size, uint8_t* out) noexcept:
    """An address between blanks; some proxies write a port behind it. Nothing is written when it is none."""
    cdef char copy[MAX_ADDRESS_TEXT + 1]
    cdef uint8_t found[16]
    cdef bint bracketed
    while size and text[0] == 32:
        text += 1
        size -= 1
    while size and text[size - 1] == 32:
        size -= 1
    bracketed = size != 0 and text[0] == 91
    size = without_port(&text, size)
    if size == 0 or size > MAX_ADDRESS_TEXT:
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    if inet_pton(AF_INET6, copy, found) != 1:
        memcpy(found, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)
        if bracketed or inet_pton(AF_INET, copy, found + 12) != 1:
            return False
    memcpy(out, found, 16)
    return True


cdef size_t without_port(const char** text, size_t size) noexcept:
    """Size of the address in `192.0.2.1:80`, `[2001:db8::1]:80` and `[2001:db8::1]`, where `text` begins
    then. 0: it is something else that has a bracket."""
    cdef size_t digits = 0
    while digits < size and 48 <= text[0][size - 1 - digits] <= 57:
        digits += 1
    if 0 < digits <= MAX_PORT_DIGITS and digits + 1 < size and text[0][size - 1 - digits] == 58:
        if text[0][size - 2 - digits] == 93 or memchr(text[0], 58, size - 1 - digits) == NULL:
            size -= digits + 1
    if size == 0 or text[0][0] != 91:
        return size
    text[0] += 1
    return size - 2 if size > 2 and text[0][size - 2] == 93 else 0
