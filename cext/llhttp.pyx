"""Finds llhttp in httptools and proves, before the first connection, that it is the one we know."""

import httptools
import httptools.parser.parser

from libc.string cimport memset

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char*, int)
    void* dlsym(void*, const char*)
    int RTLD_NOW
    int RTLD_NOLOAD

ctypedef void (*init_function)(llhttp_t*, int, const llhttp_settings_t*) noexcept
ctypedef int (*query_function)(const llhttp_t*) noexcept

cdef Llhttp FUNCTIONS
# The self-test's callbacks see no object: they count here.
cdef size_t test_url_bytes = 0
cdef int test_status = 0


cdef const Llhttp* llhttp_functions() noexcept:
    return &FUNCTIONS


cdef int test_on_url(llhttp_t* parser, const char* at, size_t size) noexcept:
    global test_url_bytes
    test_url_bytes += size
    return 0


cdef int test_on_headers_complete(llhttp_t* parser) noexcept:
    global test_status
    test_status = parser.status_code
    return 0


cdef void* find(void* library, bytes name) except NULL:
    cdef void* symbol = dlsym(library, name)
    if symbol == NULL:
        raise ImportError(mismatch(f"{name.decode()} is not exported"))
    return symbol


def mismatch(detail: str) -> str:
    return (
        f"gateway: httptools {httptools.__version__} does not carry the HTTP parser that the gateway "
        f"was built against ({detail}). Install httptools 0.9.0: pip install 'httptools==0.9.0'"
    )


cdef void load() except *:
    cdef bytes path = httptools.parser.parser.__file__.encode()
    cdef void* library = dlopen(path, RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        raise ImportError(mismatch("its shared object is not loaded"))
    FUNCTIONS.init = <init_function>find(library, b"llhttp_init")
    FUNCTIONS.settings_init = <void (*)(llhttp_settings_t*) noexcept>find(library, b"llhttp_settings_init")
    FUNCTIONS.execute = <int (*)(llhttp_t*, const char*, size_t) noexcept>find(library, b"llhttp_execute")
    FUNCTIONS.finish = <int (*)(llhttp_t*) noexcept>find(library, b"llhttp_finish")
    FUNCTIONS.resume = <void (*)(llhttp_t*) noexcept>find(library, b"llhttp_resume")
    FUNCTIONS.should_keep_alive = <query_function>find(library, b"llhttp_should_keep_alive")


cdef size_t zeroed(const unsigned char* memory, size_t size) noexcept:
    """Length of the prefix that an initialiser wrote over the pattern 0xA5."""
    cdef size_t last = 0, i
    for i in range(size):
        if memory[i] != 0xA5:
            last = i + 1
    return last


cdef void check_sizes() except *:
    """llhttp has no version function: its initialisers clear the whole struct, which tells its size."""
    cdef unsigned char memory[1024]
    memset(memory, 0xA5, sizeof(memory))
    FUNCTIONS.settings_init(<llhttp_settings_t*>memory)
    if zeroed(memory, sizeof(memory)) != sizeof(llhttp_settings_t):
        raise ImportError(mismatch("its settings have another size"))
    memset(memory, 0xA5, sizeof(memory))
    FUNCTIONS.init(<llhttp_t*>memory, HTTP_REQUEST, NULL)
    if zeroed(memory, sizeof(memory)) != sizeof(llhttp_t):
        raise ImportError(mismatch("its parser has another size"))


cdef void check_behaviour() except *:
    """Parses one request and one response, so that every field that we read stands where we read it."""
    cdef llhttp_settings_t settings
    cdef llhttp_t parser
    FUNCTIONS.settings_init(&settings)
    settings.on_url = test_on_url
    settings.on_headers_complete = test_on_headers_complete
    FUNCTIONS.init(&parser, HTTP_REQUEST, &settings)
    cdef bytes request = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
    if (FUNCTIONS.execute(&parser, request, len(request)) != HPE_OK or test_url_bytes != 2
            or parser.method != 4 or parser.http_major != 1 or parser.http_minor != 1
            or parser.content_length != 5 or not parser.flags & F_CONTENT_LENGTH):
        raise ImportError(mismatch("it reads a request otherwise"))
    FUNCTIONS.init(&parser, HTTP_RESPONSE, &settings)
    cdef bytes response = b"HTTP/1.1 207 Multi-Status\r\nTransfer-Encoding: chunked\r\n\r\n"
    if (FUNCTIONS.execute(&parser, response, len(response)) != HPE_OK or test_status != 207
            or not parser.flags & F_CHUNKED or not FUNCTIONS.should_keep_alive(&parser)):
        raise ImportError(mismatch("it reads a response otherwise"))


load()
check_sizes()
check_behaviour()
