"""A growable byte buffer: one allocation, kept with its connection, reused for every message."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport abort, free, realloc
from libc.string cimport memcpy, strlen


cdef struct Buffer:
    char* data
    size_t size
    size_t capacity


cdef inline void buffer_reserve(Buffer* buffer, size_t extra) noexcept nogil:
    """Makes room for `extra` more bytes. Out of memory ends the worker: its successor starts clean."""
    cdef size_t needed = buffer.size + extra
    if needed <= buffer.capacity:
        return
    cdef size_t capacity = needed * 2 if needed > 256 else 512
    buffer.data = <char*>realloc(buffer.data, capacity)
    if buffer.data == NULL:
        abort()
    buffer.capacity = capacity


cdef inline void buffer_put(Buffer* buffer, const char* data, size_t size) noexcept nogil:
    if size == 0:
        return
    buffer_reserve(buffer, size)
    memcpy(buffer.data + buffer.size, data, size)
    buffer.size += size


cdef inline void buffer_put_text(Buffer* buffer, const char* text) noexcept nogil:
    """Appends a text that ends with a NUL."""
    buffer_put(buffer, text, strlen(text))


cdef inline void buffer_put_char(Buffer* buffer, char value) noexcept nogil:
    buffer_reserve(buffer, 1)
    buffer.data[buffer.size] = value
    buffer.size += 1


cdef inline void buffer_put_uint(Buffer* buffer, uint64_t value) noexcept nogil:
    """Appends `value` in decimal."""
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = 48 + <char>(value % 10)
        value //= 10
        if value == 0:
            break
    buffer_put(buffer, digits + at, 20 - at)


cdef inline void buffer_put_hex(Buffer* buffer, uint64_t value) noexcept nogil:
    """Appends `value` in lower-case hexadecimal without leading zeros (a chunk size)."""
    cdef char digits[16]
    cdef int at = 16
    while True:
        at -= 1
        digits[at] = b"0123456789abcdef"[value & 15]
        value >>= 4
        if value == 0:
            break
    buffer_put(buffer, digits + at, 16 - at)


cdef inline void buffer_trim(Buffer* buffer, size_t keep) noexcept nogil:
    """Gives memory above `keep` bytes of capacity back, once the buffer is empty."""
    if buffer.size == 0 and buffer.capacity > keep:
        free(buffer.data)
        buffer.data = NULL
        buffer.capacity = 0


cdef inline void buffer_free(Buffer* buffer) noexcept nogil:
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
