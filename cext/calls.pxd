"""The calls of the script about one lane: one at a time, each with all that waits."""

from libc.stdint cimport uint64_t

from gateway.cext.conversation cimport Conversation
from gateway.cext.lane cimport Batch, Lane


cdef class Calls:
    cdef readonly Lane lane
    cdef readonly Conversation link     # None while the node is away
    cdef double wait_s                  # an answer that is later is lost
    cdef readonly str nonce             # names calls as nobody else does
    cdef bytes script                   # the command that loads it …
    cdef bytes sha                      # … and what it is called by
    cdef object failed                  # called with the error, when a call has failed
    cdef object patience                # timer
    cdef object send_bound              # methods, bound once
    cdef object answered_bound

    cdef Batch asked                    # under way
    cdef double began                   # … since, of time.monotonic()
    cdef double due                     # … and until
    cdef bint retried                   # … for the second time

    cdef readonly uint64_t made
    cdef readonly uint64_t failures
    cdef readonly double seconds        # that calls have taken

    cdef call(self, Batch batch, double now, double due)
    cdef count(self)
