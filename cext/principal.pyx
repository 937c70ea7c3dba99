"""Builds a Principal from what the authenticator answered, once for each credential."""

import json

from libc.stdint cimport uint8_t

from gateway.cext.native cimport gw_segment_hash


cdef class Principal:
    def __init__(self, caller, segment):
        """`caller`: user, client, key, session (str, empty for none), scopes (frozenset of str), claims
        (dict), issued_s, expires_s (int). Its texts are printable, as the authenticator has checked.
        """
        cdef const GwSegment* address = <const GwSegment*><size_t>segment.address
        self.user = caller.user
        self.client = caller.client
        self.key = caller.key
        self.session = caller.session
        self.scopes = caller.scopes
        self.claims = caller.claims
        self.issued_s = caller.issued_s
        self.expires_s = caller.expires_s
        self.user_hash = name_hash(address, self.user)
        self.client_hash = name_hash(address, self.client)
        self.key_hash = name_hash(address, self.key)
        self.session_hash = name_hash(address, self.session)
        self.fields = identity_fields(caller)
        self.log_user = log_text(self.user)
        self.log_client = log_text(self.client)


cdef uint64_t name_hash(const GwSegment* segment, str name) noexcept:
    cdef bytes text = name.encode("utf-8", "surrogateescape")
    if not text:
        return 0
    return gw_segment_hash(segment, <const uint8_t*><const char*>text, len(text))


def identity_fields(caller) -> bytes:
    """The lines that a service gets. A name that a field cannot hold is an error of the authenticator's:
    nothing of it may become a line of its own (RFC 9110 section 5.5).
    """
    lines = []
    for name, value in (
        ("X-User-Id", caller.user),
        ("X-Client-Id", caller.client),
        ("X-Scopes", " ".join(sorted(caller.scopes))),
    ):
        if not value:
            continue
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name}: {value!r} cannot stand in a header field")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("ascii")


def log_text(text: str) -> bytes:
    return json.dumps(text).encode() if text else b"null"
