"""The worker's time: one clock read for each event, deadlines in a timer wheel."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.native cimport GwWheel

cdef enum:
    NS_PER_MS = 1000000

cdef uint64_t NEVER

cdef inline uint64_t milliseconds(double seconds) noexcept:
    return <uint64_t>(seconds * 1000 + 0.5)


cdef class Timed:
    """Something with one deadline at a time: a connection, later a stream."""
    cdef Clock clock
    cdef uint32_t timer
    cdef uint64_t due_ms            # the deadline; NEVER = none
    cdef uint64_t scheduled_ms      # when the wheel looks at it, at the latest at `due_ms`
    cdef void start_timer(self, Clock clock) noexcept
    cdef void stop_timer(self) noexcept
    cdef void schedule(self) noexcept
    cdef void fire(self, uint64_t now_ms)
    cdef void on_deadline(self)

    cdef inline void arm(self, uint64_t due_ms) noexcept:
        """Sets the deadline in milliseconds of the monotonic clock; NEVER disarms. A later one than
        before, the common case, is a store: the wheel finds it when the earlier one comes up."""
        self.due_ms = due_ms
        if due_ms < self.scheduled_ms:
            self.schedule()

    cdef inline void arm_after(self, uint64_t ms) noexcept:
        """Sets the deadline `ms` from now; 0 = none."""
        self.arm(self.clock.now_ms + ms if ms else NEVER)


cdef class Clock:
    cdef GwWheel* wheel
    cdef PyObject** owners          # by timer handle, borrowed: a Timed stops its timer before it goes
    cdef uint32_t owner_count
    cdef uint64_t now_ns            # monotonic, as of the current event
    cdef uint64_t now_ms
    cdef uint64_t wall_offset_ns    # add to now_ns for Unix time
    cdef char date[32]              # IMF-fixdate of the current second, 29 bytes
    cdef uint64_t date_second
    cdef void read(self) noexcept
    cdef void advance(self)
    cdef void renew_date(self) noexcept
    cdef uint64_t wall_ns(self) noexcept

    cdef inline uint64_t wall_s(self) noexcept:
        """Unix time, as of the current event."""
        return (self.now_ns + self.wall_offset_ns) // 1000000000
