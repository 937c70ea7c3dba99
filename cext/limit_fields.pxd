"""How much may still be called, as header fields."""

from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.judgement cimport Judgement

cdef enum:
    NS_PER_S = 1000000000


cdef inline uint64_t seconds(uint64_t ns) noexcept:
    """Rounded up."""
    return (ns + NS_PER_S - 1) // NS_PER_S


cdef void write_fields(Judgement judgement, size_t tightest, Buffer* out) noexcept
