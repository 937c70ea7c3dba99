"""Scopes form a hierarchy: `content:*` covers `content:read` and `content:videos:write`, `*` covers all."""


cdef class Scopes:
    def __init__(self, every, some):
        self.every = tuple(every)
        self.some = tuple(some)
        self.text = " ".join(dict.fromkeys(self.every + self.some)).encode("ascii")

    cdef object missing(self, frozenset held):
        """What is lacking, as text for the client; None if nothing is."""
        for wanted in self.every:
            if not covers(held, wanted):
                return wanted.encode("ascii")
        if not self.some:
            return None
        for wanted in self.some:
            if covers(held, wanted):
                return None
        return " or ".join(self.some).encode("ascii")


cdef bint covers(frozenset held, str wanted):
    cdef str above = wanted
    if wanted in held or "*" in held:
        return True
    while ":" in above:
        above = above.rpartition(":")[0]
        if above + ":*" in held:
            return True
    return False
