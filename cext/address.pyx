"""Socket addresses: from what a plan or a name server says, and as people read them."""

import ipaddress
import socket
import struct

from libc.string cimport memcpy, memset


cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)


cdef void name_peer(const sockaddr* peer, uint8_t* address, char* text, socklen_t size) noexcept:
    """A peer as 16 bytes (IPv4 mapped) and as text; a Unix socket has no address and is never trusted."""
    memset(address, 0, 16)
    if peer.sa_family == AF_INET6:
        memcpy(address, &(<const sockaddr_in6*>peer).sin6_addr, 16)
        inet_ntop(AF_INET6, address, text, size)
    elif peer.sa_family == AF_INET:
        address[10] = address[11] = 0xFF
        memcpy(address + 12, &(<const sockaddr_in*>peer).sin_addr, 4)
        inet_ntop(AF_INET, address + 12, text, size)
    else:
        memcpy(text, b"unknown", 8)


cdef bytes unix_address(str path):
    """`sockaddr_un`. A path that is too long for it is refused by connect() (EINVAL)."""
    return struct.pack("=H", AF_UNIX) + path.encode("utf-8", "surrogateescape") + b"\0"


cdef bytes internet_address(int family, tuple address):
    """`sockaddr_in` or `sockaddr_in6` from an address as `getaddrinfo` gives it."""
    cdef bytes packed
    host, port = address[0], socket.htons(address[1])
    if family == AF_INET:
        return struct.pack("=HH4s8x", family, port, socket.inet_pton(family, host))
    packed = socket.inet_pton(family, host.partition("%")[0])
    return struct.pack("=HHI16sI", family, port, socket.htonl(address[2]), packed, address[3])


cdef list numeric_addresses(str host, int port):
    """The address that `host` spells out; None when it is a name, or has a zone to be looked up."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if version == 4:
        return [internet_address(AF_INET, (host, port))]
    return None if "%" in host else [internet_address(AF_INET6, (host, port, 0, 0))]
