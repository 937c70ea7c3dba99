"""The stages that ask how much may still be called.

What this host knows is decided at once, all or nothing. Only what the store has to decide makes the exchange
wait, and then what this host has given is given back if the store refuses.
"""

from gateway.cext.judgement cimport Judgement
from gateway.cext.plan cimport GO, WAIT, refuse
from gateway.cext.refusal cimport NO_CODE, Code


cdef Verdict limit_early(Exchange exchange) noexcept:
    """What needs no credential, asked before one is looked at."""
    return judge(exchange, exchange.route.early_limits, True)


cdef Verdict limit(Exchange exchange) noexcept:
    """429 with when to come back, or goes on; either with what is left."""
    return judge(exchange, exchange.route.limits, False)


cdef Verdict judge(Exchange exchange, list limits, bint early) noexcept:
    cdef Judgement judgement = exchange.worker.judgement
    cdef Code code
    judgement.early = early
    judgement.plan = exchange.plan
    code = judgement.gather(exchange, limits)
    if code == NO_CODE:
        judgement.acquire(exchange)
        if judgement.unknown or (judgement.allowed and judgement.count > judgement.local):
            exchange.worker.judgement = Judgement()
            judgement.wait(exchange)
            return WAIT
        code = judgement.conclude(exchange)
    judgement.plan = None
    if code == NO_CODE:
        return GO
    return refuse(exchange, code)
