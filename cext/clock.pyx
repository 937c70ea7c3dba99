"""Reads the clock once for each event and fires deadlines from the wheel."""

import logging

from cpython.object cimport PyObject
from libc.stdlib cimport abort, free, realloc

from gateway.cext.native cimport (
    gw_wheel_advance,
    gw_wheel_free,
    gw_wheel_insert,
    gw_wheel_new,
    gw_wheel_remove,
    gw_wheel_update,
)

cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    struct tm:
        pass
    int clock_gettime(clockid_t, timespec*)
    tm* gmtime_r(const time_t*, tm*)
    size_t strftime(char*, size_t, const char*, const tm*)
    clockid_t CLOCK_MONOTONIC
    clockid_t CLOCK_REALTIME

log = logging.getLogger("gateway.clock")

NEVER = 0xFFFFFFFFFFFFFFFF

cdef enum:
    NO_TIMER = 0xFFFFFFFF
    DUE_BATCH = 256


cdef uint64_t read_ns(clockid_t which) noexcept:
    cdef timespec now
    clock_gettime(which, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


cdef class Timed:
    def __cinit__(self):
        self.timer = NO_TIMER
        self.due_ms = self.scheduled_ms = NEVER

    cdef void start_timer(self, Clock clock) noexcept:
        """Registers with the wheel, disarmed."""
        cdef uint32_t handle = gw_wheel_insert(clock.wheel, NEVER)
        if handle >= clock.owner_count:
            clock.owner_count = (handle + 1) * 2
            clock.owners = <PyObject**>realloc(clock.owners, clock.owner_count * sizeof(PyObject*))
            if clock.owners == NULL:
                abort()
        clock.owners[handle] = <PyObject*>self
        self.clock = clock
        self.timer = handle

    cdef void stop_timer(self) noexcept:
        if self.timer != NO_TIMER:
            gw_wheel_remove(self.clock.wheel, self.timer)
            self.clock.owners[self.timer] = NULL
            self.timer = NO_TIMER
            self.scheduled_ms = NEVER

    cdef void schedule(self) noexcept:
        if self.timer != NO_TIMER:
            self.scheduled_ms = self.due_ms
            gw_wheel_update(self.clock.wheel, self.timer, self.due_ms)

    cdef void fire(self, uint64_t now_ms):
        """The wheel came to this entry: it may have been given a later deadline meanwhile."""
        self.scheduled_ms = NEVER
        if self.due_ms > now_ms:
            if self.due_ms != NEVER:
                self.schedule()
        else:
            self.due_ms = NEVER
            self.on_deadline()

    cdef void on_deadline(self):
        pass


cdef class Clock:
    def __cinit__(self):
        self.read()
        self.wheel = gw_wheel_new(self.now_ms)
        self.advance()

    def __dealloc__(self):
        gw_wheel_free(self.wheel)
        free(self.owners)

    cdef void read(self) noexcept:
        self.now_ns = read_ns(CLOCK_MONOTONIC)
        self.now_ms = self.now_ns // NS_PER_MS

    cdef uint64_t wall_ns(self) noexcept:
        return self.now_ns + self.wall_offset_ns

    cdef void advance(self):
        """Called on each tick: renews the date and calls `on_deadline` of everything that is due."""
        cdef uint32_t due[DUE_BATCH]
        cdef size_t count = DUE_BATCH, i
        cdef PyObject* owner
        self.read()
        self.wall_offset_ns = read_ns(CLOCK_REALTIME) - self.now_ns
        self.renew_date()
        while count == DUE_BATCH:
            count = gw_wheel_advance(self.wheel, self.now_ms, due, DUE_BATCH)
            for i in range(count):
                # A deadline that fired before in this batch may have ended this owner.
                owner = self.owners[due[i]]
                if owner != NULL:
                    try:
                        (<Timed>owner).fire(self.now_ms)
                    except Exception:
                        # The others in the batch are disarmed already: they must get their turn.
                        log.exception("a deadline could not be handled")

    cdef void renew_date(self) noexcept:
        cdef time_t second = <time_t>(self.wall_ns() // 1000000000)
        cdef tm parts
        if <uint64_t>second != self.date_second:
            self.date_second = <uint64_t>second
            gmtime_r(&second, &parts)
            strftime(self.date, sizeof(self.date), b"%a, %d %b %Y %H:%M:%S GMT", &parts)
