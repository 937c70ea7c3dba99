"""Makes the bytes of a `sockaddr` from what a plan or a name server says. Not on a request's path."""

import ipaddress
import socket
import struct


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
