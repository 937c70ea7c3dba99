"""Refuses what matters least while a worker has more to do than it can.

Two signs. Requests under way: a bound. Lag of the event loop: a controller, because what is let in now shows
its lag later. It takes off much at each late tick and adds little at each timely one, and always lets a few
in, so that it sees when there is room again.
"""

CRITICALITY = {"sheddable": SHEDDABLE, "normal": NORMAL, "critical": CRITICAL}

# Of `admitted`, at each tick (100 ms): from all to the least in two seconds, and back in four
cdef double STEP_DOWN = 0.1
cdef double STEP_UP = 0.05
cdef double LEAST = 0.1
cdef double ALL = 2.0


cdef class Overload:
    def __init__(self, dict spec, int workers):
        """`spec`: in_flight of all workers, loop_lag in seconds."""
        self.in_flight = -(-spec["in_flight"] // workers)
        self.lag_us = round(1e6 * spec["loop_lag"])
        self.admitted = ALL

    cdef void go_on_from(self, Overload before) noexcept:
        """A new plan does not make a worker idle."""
        self.admitted = before.admitted

    cdef bint is_set(self) noexcept:
        return self.in_flight != 0 or self.lag_us != 0

    cpdef void tick(self, uint64_t lag_us) noexcept:
        """`lag_us`: how late the loop was."""
        if self.lag_us and lag_us > self.lag_us:
            self.admitted = max(LEAST, self.admitted - STEP_DOWN)
        else:
            self.admitted = min(ALL, self.admitted + STEP_UP)

    cpdef bint admits(self, bint sheddable, int in_flight, uint64_t random) noexcept:
        """`in_flight`: requests of this worker, this one included."""
        cdef int most = max(1, self.in_flight * 4 // 5) if sheddable else self.in_flight
        cdef double share = self.admitted - sheddable
        if self.in_flight and in_flight > most:
            return False
        return share >= 1 or (random >> 11) * (1.0 / 9007199254740992.0) < share
