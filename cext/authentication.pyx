"""Who is calling, and may he: from the cache of verified credentials, or by the authenticator.

A credential that is not in the cache suspends the exchange; only verified ones are remembered. On each hit
the expiry is looked at again, and the table of revocations if anything has been revoked since the last look.
"""

from libc.stdint cimport uint32_t
from gateway.cext.buffer cimport buffer_put, buffer_put_text
from gateway.cext.field_name cimport FIELD_API_KEY, FIELD_AUTHORIZATION, name_equals
from gateway.cext.head cimport Head, field_name, field_value, find_field, head_has
from gateway.cext.native cimport (
    GwField,
    gw_lru_evict_for,
    gw_lru_find,
    gw_lru_free,
    gw_lru_insert,
    gw_lru_new,
    gw_lru_remove,
)
from gateway.cext.plan cimport GO, WAIT, Route, refuse
from gateway.cext.refusal cimport (
    API_KEY_INVALID,
    AUTHENTICATION_REQUIRED,
    CREDENTIAL_NOT_ACCEPTED,
    CREDENTIALS_AMBIGUOUS,
    INSUFFICIENT_SCOPE,
    TOKEN_REVOKED,
)

cdef enum:
    # Of one worker. With its claims a principal takes about 1 KB, so this bounds them by 64 MB.
    MAX_CREDENTIALS = 50000
    # Of the credentials themselves: 1,200 bytes each, if there are as many as may be.
    MAX_CREDENTIAL_BYTES = 64 * 1024 * 1024

cdef dict KIND_NAMES = {CREDENTIAL_JWT: "jwt", CREDENTIAL_API_KEY: "api_key"}


cdef class Credentials:
    def __init__(self, segment):
        self.slots = gw_lru_new(
            <const GwSegment*><size_t>segment.address, MAX_CREDENTIALS, MAX_CREDENTIAL_BYTES)
        self.principals = [None]

    def __dealloc__(self):
        gw_lru_free(self.slots)

    def __len__(self):
        return sum(principal is not None for principal in self.principals)

    cdef Principal find(self, const Credential* credential):
        cdef uint32_t slot = gw_lru_find(self.slots, credential.data, credential.size)
        return <Principal>self.principals[slot]

    cdef void remember(self, bytes credential, Principal principal) noexcept:
        cdef uint32_t slot
        cdef size_t size = len(credential)
        while True:
            slot = gw_lru_evict_for(self.slots, size)
            if slot == 0:
                break
            self.principals[slot] = None
        slot = gw_lru_insert(self.slots, <const uint8_t*><const char*>credential, size)
        if slot == 0:
            return
        while slot >= <uint32_t>len(self.principals):
            self.principals.append(None)
        self.principals[slot] = principal

    cdef void forget(self, bytes credential) noexcept:
        cdef const char* data = credential
        cdef uint32_t slot = gw_lru_find(self.slots, <const uint8_t*>data, len(credential))
        if slot:
            self.principals[slot] = None
            gw_lru_remove(self.slots, slot)

    cdef void clear(self) noexcept:
        """The rules have changed: everyone is verified again."""
        cdef uint32_t slot
        for slot in range(1, <uint32_t>len(self.principals)):
            if self.principals[slot] is not None:
                gw_lru_remove(self.slots, slot)
        self.principals = [None] * len(self.principals)


# --- authenticate -----------------------------------------------------------------------------------

cdef Verdict authenticate(Exchange exchange) noexcept:
    """Fills `principal`; 401 when the route wants one and there is none that can be believed."""
    cdef Credential credential = find_credential(&exchange.request)
    cdef Principal principal
    if credential.kind == CREDENTIAL_NONE:
        return refuse(exchange, AUTHENTICATION_REQUIRED) if exchange.route.requires_caller else GO
    if credential.kind == CREDENTIAL_AMBIGUOUS:
        return refuse(exchange, CREDENTIALS_AMBIGUOUS)
    if not exchange.route.accept & credential.kind:
        return refuse(exchange, CREDENTIAL_NOT_ACCEPTED)
    principal = exchange.worker.credentials.find(&credential)
    if principal is not None and is_usable(exchange, principal, credential.kind):
        if principal.is_revoked(exchange.worker.segment_address):
            return refuse_revoked(exchange, &credential)
        exchange.principal = principal
        return GO
    exchange.suspend(ask(exchange, exchange.serial, credential.kind, bytes_of(&credential),
                         fingerprint_of(&exchange.request)))
    return WAIT


cdef Credential find_credential(const Head* head) noexcept:
    """The one credential of a request. Two are none: a service behind us might take the other one."""
    cdef Credential found = Credential(CREDENTIAL_NONE, NULL, 0)
    cdef bint has_key = head_has(head, FIELD_API_KEY)
    cdef const GwField* field
    if (head.repeated >> FIELD_AUTHORIZATION | head.repeated >> FIELD_API_KEY) & 1:
        found.kind = CREDENTIAL_AMBIGUOUS
    elif head_has(head, FIELD_AUTHORIZATION):
        field = find_field(head, FIELD_AUTHORIZATION)
        found = split_authorization(head.base + field.value_off, field.value_len)
        if has_key:
            found.kind = CREDENTIAL_AMBIGUOUS
    elif has_key:
        field = find_field(head, FIELD_API_KEY)
        found.kind = CREDENTIAL_API_KEY
        found.data = <const uint8_t*>head.base + field.value_off
        found.size = field.value_len
    return found


cdef Credential split_authorization(const char* value, size_t size) noexcept:
    """RFC 9110 section 11.4: a scheme in any case, and what follows it."""
    cdef Credential found = Credential(CREDENTIAL_UNKNOWN, NULL, 0)
    cdef size_t start = 0
    if size > 7 and name_equals(value, 6, b"bearer", 6):
        found.kind = CREDENTIAL_JWT
        start = 6
    elif size > 7 and name_equals(value, 6, b"apikey", 6):
        found.kind = CREDENTIAL_API_KEY
        start = 6
    if start == 0 or value[start] != 32:
        found.kind = CREDENTIAL_UNKNOWN
        return found
    while start < size and value[start] == 32:
        start += 1
    found.data = <const uint8_t*>value + start
    found.size = size - start
    return found


cdef str fingerprint_of(const Head* head):
    """What the client shows with a token that is bound to it; two are none."""
    cdef uint32_t i
    cdef str found = None
    for i in range(head.count):
        if name_equals(field_name(head, i), head.fields[i].name_len, b"x-client-fingerprint", 20):
            if found is not None:
                return None
            found = field_value(head, i)[:head.fields[i].value_len].decode("latin-1")
    return found


cdef bytes bytes_of(const Credential* credential):
    return (<const char*>credential.data)[:credential.size]


cdef bint is_usable(Exchange exchange, Principal principal, CredentialKind kind) noexcept:
    """Whether what was verified once holds for this request as well: in time, and shown as it was then."""
    return (principal.kind == kind and exchange.worker.clock.wall_s() < principal.expires_s
            and (principal.fingerprint is None
                 or principal.fingerprint == fingerprint_of(&exchange.request)))


cdef Verdict refuse_revoked(Exchange exchange, const Credential* credential) noexcept:
    cdef bint is_key = credential.kind == CREDENTIAL_API_KEY
    exchange.worker.credentials.forget(bytes_of(credential))
    return refuse(exchange, API_KEY_INVALID if is_key else TOKEN_REVOKED)


async def ask(Exchange exchange, uint64_t serial, int kind, bytes credential, str fingerprint):
    """Has a credential verified that is not in the cache. The code of a refusal, or None."""
    cdef Principal principal
    answer = await verify(exchange.worker.authenticator, kind, credential, exchange.peer.decode(),
                          fingerprint)
    if isinstance(answer, str):
        return answer
    principal = Principal(answer, exchange.worker.segment, kind, fingerprint)
    if principal.is_revoked(exchange.worker.segment_address):
        return "api_key_invalid" if kind == CREDENTIAL_API_KEY else "token_revoked"
    exchange.worker.credentials.remember(credential, principal)
    if exchange.serial == serial:
        exchange.principal = principal
    return None


async def verify(authenticator, int kind, bytes credential, str peer, str fingerprint):
    if authenticator is None:
        return "authentication_unavailable"
    return await authenticator(KIND_NAMES[kind], credential, peer, fingerprint)


# --- authorize --------------------------------------------------------------------------------------

cdef Verdict authorize(Exchange exchange) noexcept:
    """403 unless the caller's scopes cover what the route asks for; somebody must be there to have some."""
    cdef Route route = exchange.route
    cdef Principal principal = exchange.principal
    if principal is None:
        return refuse(exchange, AUTHENTICATION_REQUIRED)
    if principal.granted_by != exchange.plan.generation:
        principal.granted_by = exchange.plan.generation
        principal.granted = 0
    if (principal.granted >> route.grant) & 1:
        return GO
    missing = route.scopes.missing(principal.scopes)
    if missing is not None:
        buffer_put(&exchange.detail, b": ", 2)
        buffer_put(&exchange.detail, missing, len(<bytes>missing))
        return refuse(exchange, INSUFFICIENT_SCOPE)
    if route.grant:
        principal.granted |= <uint64_t>1 << route.grant
    return GO


# --- challenges -------------------------------------------------------------------------------------

cdef void write_challenge(Exchange exchange, Code code, Buffer* fields) noexcept:
    """WWW-Authenticate (RFC 9110 section 11.6.1, RFC 6750 section 3): how to come in, and what was wrong."""
    cdef bytes scopes
    if exchange.route.accept & CREDENTIAL_JWT:
        buffer_put_text(fields, b'WWW-Authenticate: Bearer realm="gateway"')
        if code == INSUFFICIENT_SCOPE:
            scopes = exchange.route.scopes.text
            buffer_put_text(fields, b', error="insufficient_scope", scope="')
            buffer_put(fields, scopes, len(scopes))
            buffer_put_text(fields, b'"')
        elif code != AUTHENTICATION_REQUIRED:
            buffer_put_text(fields, b', error="invalid_token"')
        buffer_put_text(fields, b"\r\n")
    if exchange.route.accept & CREDENTIAL_API_KEY and code != INSUFFICIENT_SCOPE:
        buffer_put_text(fields, b'WWW-Authenticate: ApiKey realm="gateway"\r\n')
