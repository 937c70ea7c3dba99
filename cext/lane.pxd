"""What only the store of all hosts can decide, gathered into calls of its script."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer


cdef enum AskMode:
    """What a question does when it does not fit."""
    ASK_COUNTED
    ASK_ENFORCED
    ASK_ALWAYS      # takes all the same; gives back a weight below 0


cdef class Batch:
    """One call: who asks, and what. Encoded as it is asked (RESP 2)."""
    cdef Buffer keys
    cdef Buffer arguments
    cdef Buffer answers             # int64_t, four for each question
    cdef list askers                # Judgement, or (callable, number of its questions)
    cdef uint32_t questions
    cdef uint32_t lane
    cdef readonly double born       # of time.monotonic()
    cdef readonly str name          # stands in the call; no other call has it

    cdef void open(self, asker, uint32_t questions) noexcept
    cdef void put(self, const char* key, size_t size, bytes tag, bytes question) noexcept
    cpdef bytes command(self, bytes sha, str name)
    cpdef bint read(self, bytes data) noexcept
    cpdef settle(self, list answers=*)
    cpdef give_up(self)
    cdef keep(self, list answers)
    cdef list answers_at(self, size_t at, size_t questions)
    cdef void resolve(self) noexcept


cdef class Lane:
    """The questions about those keys that one node of the store has: the batch that is being filled, and
    those that wait for it."""
    cdef readonly uint32_t number
    cdef readonly bytes tag         # ends each key, so that a cluster keeps them on one node
    cdef public bint away           # nobody is asked; who asks nevertheless gets no answer
    cdef object on_work             # called when something waits where nothing did
    cdef list batches

    cdef Batch batch_for(self, uint32_t questions)
    cpdef Batch take(self)
    cpdef charge(self, str key, tuple terms, int64_t weight)


cdef uint32_t lane_number(const char* key, size_t size, uint32_t lanes) noexcept
cdef bytes encoded(tuple terms)
cdef bytes encoded_question(bytes terms, int64_t weight, AskMode mode)
cpdef uint32_t number_of_lane(str key, uint32_t lanes)
