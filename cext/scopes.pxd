"""What a route asks of its callers' scopes."""


cdef class Scopes:
    cdef readonly tuple every       # all of these …
    cdef readonly tuple some        # … and at least one of these, if there are any
    cdef bytes text                 # all of them, as a challenge names them
    cdef object missing(self, frozenset held)
