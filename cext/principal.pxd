"""Who is calling: what `authenticate` found out, as the stages behind it read it."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.native cimport GwSegment


cdef class Principal:
    # Names of the caller; empty where the credential names none
    cdef readonly str user
    cdef readonly str client
    cdef readonly str key           # id of the API key that was shown
    cdef readonly str session
    cdef readonly str policy        # that its key is bound to, for tiers of limits
    cdef readonly frozenset scopes
    cdef readonly dict claims       # of a token; what an API key's record says
    # The names under the instance's secret, for tables in the segment; 0 = none
    cdef readonly uint64_t user_hash
    cdef readonly uint64_t client_hash
    cdef readonly uint64_t key_hash
    cdef readonly uint64_t session_hash
    cdef readonly uint64_t issued_s     # Unix time
    cdef readonly uint64_t expires_s    # Unix time; the credential is not good from then on
    cdef str fingerprint            # what the client showed with a token that is bound to it, or None
    cdef bytes fields               # the lines that tell the service who is calling
    cdef bytes log_user             # JSON strings, or null
    cdef bytes log_client
    cdef uint32_t kind              # CredentialKind
    cdef uint64_t looked_at         # epoch of the revocations when it was last found to be good
    cdef uint32_t granted_by        # generation of the plan that `granted` is about
    cdef uint64_t granted           # a bit for each `Route.grant` that its scopes cover
    cdef dict uses                  # route label -> requests, but for …
    cdef uint32_t used_route        # … the route used last
    cdef uint64_t route_uses        # and its uses in a row
    cdef bint is_listed             # its uses wait to be taken
    cdef bint is_revoked(self, const GwSegment* segment) noexcept
    cdef bint count_use(self, uint32_t route) noexcept
    cdef dict take_uses(self)
    cdef void keep_uses(self) noexcept

cdef uint64_t name_hash(const GwSegment* segment, str name) noexcept
