"""The llhttp parser that lives inside httptools' shared object, driven with C callbacks.

httptools' own parser class makes two bytes objects for each header field. Its shared object exports
llhttp's functions, so the data plane finds them there and fills its own buffers. The layouts below are
those of llhttp 9.4 (`llhttp.h`); `llhttp.pyx` refuses to start when the loaded parser differs.
"""

cdef extern from *:
    """
    #include <stdint.h>
    typedef struct gw_llhttp_s {
      int32_t _index;
      void *_span_pos0;
      void *_span_cb0;
      int32_t error;
      const char *reason;
      const char *error_pos;
      void *data;
      void *_current;
      uint64_t content_length;
      uint8_t type;
      uint8_t method;
      uint8_t http_major;
      uint8_t http_minor;
      uint8_t header_state;
      uint16_t lenient_flags;
      uint8_t upgrade;
      uint8_t finish;
      uint16_t flags;
      uint16_t status_code;
      uint8_t initial_message_completed;
      void *settings;
    } gw_llhttp_t;

    typedef int (*gw_llhttp_data_cb)(gw_llhttp_t *, const char *, size_t);
    typedef int (*gw_llhttp_cb)(gw_llhttp_t *);

    typedef struct {
      gw_llhttp_cb on_message_begin;
      gw_llhttp_data_cb on_protocol;
      gw_llhttp_data_cb on_url;
      gw_llhttp_data_cb on_status;
      gw_llhttp_data_cb on_method;
      gw_llhttp_data_cb on_version;
      gw_llhttp_data_cb on_header_field;
      gw_llhttp_data_cb on_header_value;
      gw_llhttp_data_cb on_chunk_extension_name;
      gw_llhttp_data_cb on_chunk_extension_value;
      gw_llhttp_cb on_headers_complete;
      gw_llhttp_data_cb on_body;
      gw_llhttp_cb on_message_complete;
      gw_llhttp_cb on_protocol_complete;
      gw_llhttp_cb on_url_complete;
      gw_llhttp_cb on_status_complete;
      gw_llhttp_cb on_method_complete;
      gw_llhttp_cb on_version_complete;
      gw_llhttp_cb on_header_field_complete;
      gw_llhttp_cb on_header_value_complete;
      gw_llhttp_cb on_chunk_extension_name_complete;
      gw_llhttp_cb on_chunk_extension_value_complete;
      gw_llhttp_cb on_chunk_header;
      gw_llhttp_cb on_chunk_complete;
      gw_llhttp_cb on_reset;
    } gw_llhttp_settings_t;
    """
    ctypedef struct llhttp_t "gw_llhttp_t":
        int error
        const char* reason
        const char* error_pos
        void* data
        unsigned long long content_length
        unsigned char type
        unsigned char method
        unsigned char http_major
        unsigned char http_minor
        unsigned char upgrade
        unsigned char finish
        unsigned short flags
        unsigned short status_code

    ctypedef int (*llhttp_data_cb "gw_llhttp_data_cb")(llhttp_t*, const char*, size_t) noexcept
    ctypedef int (*llhttp_cb "gw_llhttp_cb")(llhttp_t*) noexcept

    ctypedef struct llhttp_settings_t "gw_llhttp_settings_t":
        llhttp_cb on_message_begin
        llhttp_data_cb on_protocol
        llhttp_data_cb on_url
        llhttp_data_cb on_status
        llhttp_data_cb on_method
        llhttp_data_cb on_version
        llhttp_data_cb on_header_field
        llhttp_data_cb on_header_value
        llhttp_cb on_headers_complete
        llhttp_data_cb on_body
        llhttp_cb on_message_complete
        llhttp_cb on_chunk_header


cdef enum:
    HTTP_REQUEST = 1
    HTTP_RESPONSE = 2

    HPE_OK = 0
    HPE_CLOSED_CONNECTION = 5
    HPE_INVALID_METHOD = 6
    HPE_INVALID_VERSION = 9
    HPE_PAUSED = 21
    HPE_PAUSED_UPGRADE = 22
    HPE_PAUSED_H2_UPGRADE = 23
    HPE_USER = 24
    HPE_CR_EXPECTED = 25

    F_CONNECTION_KEEP_ALIVE = 0x1
    F_CONNECTION_CLOSE = 0x2
    F_CHUNKED = 0x8
    F_CONTENT_LENGTH = 0x20
    F_TRAILING = 0x80
    F_TRANSFER_ENCODING = 0x200

    # Larger sizes are read as negative by somebody down the line; nobody sends an exabyte.
    MAX_CHUNK = 0xFFFFFFFFFFFFFFF


cdef struct Llhttp:
    void (*init)(llhttp_t*, int, const llhttp_settings_t*) noexcept
    void (*settings_init)(llhttp_settings_t*) noexcept
    int (*execute)(llhttp_t*, const char*, size_t) noexcept
    int (*finish)(llhttp_t*) noexcept
    void (*resume)(llhttp_t*) noexcept
    int (*should_keep_alive)(const llhttp_t*) noexcept


cdef const Llhttp* llhttp_functions() noexcept
