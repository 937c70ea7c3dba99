"""A connection to the store: commands go out in order, and their answers come back in it."""

from gateway.cext.lane cimport Batch


cdef class Conversation:
    cdef object writer          # it warns when it is forgotten before it is closed
    cdef object transport
    cdef object reader          # hiredis.Reader
    cdef object waiting         # deque of who gets an answer, and the batch that it is for, or None
    cdef readonly object closed

    cpdef send(self, bytes command, object answered, Batch batch=*)
