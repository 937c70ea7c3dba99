"""The stages that find out who is calling and whether he may, and what they remember."""

from libc.stdint cimport uint8_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.native cimport GwLru, GwSegment
from gateway.cext.plan cimport Verdict
from gateway.cext.principal cimport Principal
from gateway.cext.refusal cimport Code

cdef enum CredentialKind:
    CREDENTIAL_NONE = 0
    # Bits of Route.accept
    CREDENTIAL_JWT = 1
    CREDENTIAL_API_KEY = 2
    # Another scheme than ours
    CREDENTIAL_UNKNOWN = 4
    CREDENTIAL_AMBIGUOUS = 8


cdef struct Credential:
    CredentialKind kind
    const uint8_t* data             # in the request's head
    size_t size


cdef class Credentials:
    """Verified credentials of one worker, found by their own bytes."""
    cdef GwLru* slots
    cdef list principals            # by slot
    cdef Principal find(self, const Credential* credential)
    cdef void remember(self, bytes credential, Principal principal) noexcept
    cdef void forget(self, bytes credential) noexcept
    cdef void clear(self) noexcept

cdef Verdict authenticate(Exchange exchange) noexcept
cdef Verdict authorize(Exchange exchange) noexcept
cdef void write_challenge(Exchange exchange, Code code, Buffer* fields) noexcept
