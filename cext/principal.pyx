"""Builds a Principal from what the authenticator answered, once for each credential."""

import json

from libc.stdint cimport uint8_t

from gateway.cext.native cimport (
    GW_REVOKED_CLIENT,
    GW_REVOKED_KEY,
    GW_REVOKED_SESSION,
    GW_REVOKED_USER,
    gw_is_revoked,
    gw_revocations_epoch,
    gw_segment_hash,
)


cdef class Principal:
    def __init__(self, caller, segment, uint32_t kind, str fingerprint):
        """`caller`: user, client, key, session (str, empty for none), scopes (frozenset of str), claims
        (dict), issued_s, expires_s (int), bound (whether it holds only beside `fingerprint`),
        rate_limit_policy (str). Its texts are printable, as the authenticator has checked.
        """
        cdef const GwSegment* address = <const GwSegment*><size_t>segment.address
        self.kind = kind
        self.fingerprint = fingerprint if caller.bound else None
        self.uses = {}
        self.user = caller.user
        self.client = caller.client
        self.key = caller.key
        self.session = caller.session
        self.policy = caller.rate_limit_policy
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

    cdef bint is_revoked(self, const GwSegment* segment) noexcept:
        """One load, unless something has been revoked since the last look."""
        cdef uint64_t epoch = gw_revocations_epoch(segment)
        if epoch == self.looked_at:
            return False
        if (is_named(segment, GW_REVOKED_SESSION, self.session_hash, self.issued_s)
                or is_named(segment, GW_REVOKED_USER, self.user_hash, self.issued_s)
                or is_named(segment, GW_REVOKED_CLIENT, self.client_hash, self.issued_s)
                or is_named(segment, GW_REVOKED_KEY, self.key_hash, self.issued_s)):
            return True
        self.looked_at = epoch
        return False

    cdef bint count_use(self, uint32_t route) noexcept:
        """Whether this is the first use since `take_uses`. The same route again costs an addition."""
        cdef bint first = not self.is_listed
        if route != self.used_route:
            self.keep_uses()
            self.used_route = route
        self.route_uses += 1
        self.is_listed = True
        return first

    cdef dict take_uses(self):
        """Requests by route label since the last call."""
        self.keep_uses()
        taken = self.uses
        self.uses = {}
        self.is_listed = False
        return taken

    cdef void keep_uses(self) noexcept:
        if self.route_uses:
            self.uses[self.used_route] = self.uses.get(self.used_route, 0) + self.route_uses
            self.route_uses = 0


cdef inline bint is_named(const GwSegment* segment, uint32_t kind, uint64_t hash, uint64_t issued_s) noexcept:
    return hash != 0 and gw_is_revoked(segment, kind, hash, issued_s) != 0


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
