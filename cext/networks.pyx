"""Whether an address lies in a network, and whose address counts behind trusted proxies."""

import ipaddress

from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcmp, memcpy

from gateway.cext.field_name cimport FIELD_FORWARDED_FOR
from gateway.cext.head cimport field_value, head_has

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    int AF_INET
    int AF_INET6

cdef enum:
    MAX_ADDRESS_TEXT = 45       # INET6_ADDRSTRLEN without its NUL


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


cdef void client_address(Exchange exchange, uint8_t* out) noexcept:
    """Who sent the request: behind trusted proxies, the last address that is not one of theirs."""
    cdef uint32_t i
    memcpy(out, exchange.peer_address, 16)
    if not exchange.trusted or not head_has(&exchange.request, FIELD_FORWARDED_FOR):
        return
    for i in range(exchange.request.count, 0, -1):
        if exchange.request.fields[i - 1].id != FIELD_FORWARDED_FOR:
            continue
        if not walk_back(exchange, field_value(&exchange.request, i - 1),
                         exchange.request.fields[i - 1].value_len, out):
            return


cdef bint walk_back(Exchange exchange, const char* text, size_t size, uint8_t* out) noexcept:
    """Reads a list of addresses from its end; whether it ended among trusted proxies."""
    cdef size_t end = size, start
    while True:
        start = end
        while start and text[start - 1] != 44:
            start -= 1
        if not read_address(text + start, end - start, out) or not exchange.plan.trusted.holds(out):
            return False
        if start == 0:
            return True
        end = start - 1


cdef bint read_address(const char* text, size_t size, uint8_t* out) noexcept:
    """An address without a port, between blanks. Nothing is written when it is none."""
    cdef char copy[MAX_ADDRESS_TEXT + 1]
    cdef uint8_t found[16]
    while size and text[0] == 32:
        text += 1
        size -= 1
    while size and text[size - 1] == 32:
        size -= 1
    if size == 0 or size > MAX_ADDRESS_TEXT:
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    if inet_pton(AF_INET6, copy, found) != 1:
        memcpy(found, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)
        if inet_pton(AF_INET, copy, found + 12) != 1:
            return False
    memcpy(out, found, 16)
    return True
