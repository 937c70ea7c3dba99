"""The compiled configuration as the data plane reads it. Immutable: a reload makes another one."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.mirror cimport Mirror
from gateway.cext.native cimport GwLimits, GwRoutes
from gateway.cext.networks cimport Networks
from gateway.cext.overload cimport Criticality, Overload
from gateway.cext.refusal cimport Code
from gateway.cext.scopes cimport Scopes
from gateway.cext.service cimport Service
from gateway.cext.split cimport Split


cdef enum Verdict:
    """What a stage decides about an exchange."""
    GO
    REFUSED     # the answer is on its way
    WAIT        # somebody will call `Exchange.resume`

ctypedef Verdict (*Stage)(Exchange) noexcept

cdef Verdict refuse(Exchange exchange, Code code) noexcept

cdef enum:
    MAX_STAGES = 10


cdef class Route:
    cdef readonly str path
    cdef uint32_t label
    cdef uint32_t service_label
    cdef Service service            # None for what the gateway answers itself
    cdef Split split                # in place of `service`, or None
    cdef Mirror mirror              # or None
    cdef bytes cut                  # leading part of the canonical path that is taken off …
    cdef bytes put                  # … and what stands there instead
    cdef uint64_t body_limit        # bytes, 0 = none
    cdef bytes log_path             # the pattern as a JSON string
    cdef bint requires_caller       # without a credential, 401
    cdef uint32_t accept            # bits of CredentialKind; 0 = credentials are not looked at
    cdef bint forwards_token        # the service sees the bearer token that was verified
    cdef Scopes scopes              # or None
    cdef uint32_t grant             # number of the like of `scopes` among the plan's, below 64; 0 = too many
    cdef Networks allow             # who may use it; empty: everybody. None: neither is asked
    cdef Networks deny              # who may not
    cdef list early_limits          # of RateLimit, asked before authentication
    cdef list limits                # of RateLimit
    cdef uint32_t weight            # what a request costs
    cdef Criticality criticality
    cdef Stage stages[MAX_STAGES]
    cdef int stage_count


cdef class Plan:
    cdef readonly uint32_t generation
    cdef readonly object limits     # the rules, by index
    cdef const GwLimits* limits_handle
    cdef object table
    cdef const GwRoutes* routes_handle
    cdef bint keep_encoded_slash
    cdef readonly list routes       # of Route
    cdef readonly list services     # of Service
    cdef object auth                # the rules of authentication, as published
    cdef list service_specs         # only until the pools are configured
    cdef Route health               # GET /health
    cdef Route unrouted             # what a refusal before any match is counted under
    cdef size_t head_limit          # bytes
    cdef uint64_t head_ms
    cdef uint64_t body_ms
    cdef uint64_t idle_ms
    cdef int workers                # of the instance
    cdef uint32_t connection_limit  # of this worker
    cdef Overload overload
    cdef Networks trusted           # server.trusted_proxies
