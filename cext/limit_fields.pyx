"""The fields of an answer that say how much may still be called."""

from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport buffer_put, buffer_put_uint
from gateway.cext.native cimport GwQuota
from gateway.cext.rate_limit cimport Allowance, RateLimit


cdef void write_fields(Judgement judgement, size_t tightest, Buffer* out) noexcept:
    """X-RateLimit-… of the tightest policy; RateLimit-Policy of all and RateLimit of the tightest, as
    draft-ietf-httpapi-ratelimit-headers-10 has them."""
    cdef const GwQuota* quota = &judgement.quotas[tightest]
    cdef Allowance allowance = <Allowance>judgement.allowances[tightest]
    cdef RateLimit limit = <RateLimit>judgement.limits[tightest]
    cdef uint64_t reset_s = seconds(quota.reset_ns)
    cdef size_t i
    cdef bint first = True
    buffer_put(out, b"X-RateLimit-Limit: ", 19)
    buffer_put_uint(out, allowance.burst)
    buffer_put(out, b"\r\nX-RateLimit-Remaining: ", 25)
    buffer_put_uint(out, quota.remaining)
    buffer_put(out, b"\r\nX-RateLimit-Reset: ", 21)
    buffer_put_uint(out, reset_s)
    buffer_put(out, b"\r\nRateLimit-Policy: ", 20)
    for i in range(judgement.count):
        if judgement.asks[i].enforced:
            if not first:
                buffer_put(out, b", ", 2)
            first = False
            put_bytes(out, (<Allowance>judgement.allowances[i]).policy)
    buffer_put(out, b"\r\nRateLimit: ", 13)
    put_bytes(out, limit.quoted)
    buffer_put(out, b";r=", 3)
    buffer_put_uint(out, quota.remaining)
    buffer_put(out, b";t=", 3)
    # The draft: not when everything is back, but when more than `r` is.
    buffer_put_uint(out, reset_s if quota.allowed else seconds(quota.retry_ns))
    buffer_put(out, b"\r\n", 2)


cdef inline void put_bytes(Buffer* out, bytes text) noexcept:
    buffer_put(out, <const char*>text, len(text))
