"""Socket addresses as the kernel takes and gives them."""

from libc.stdint cimport uint8_t

cdef extern from "<netinet/in.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        in_addr sin_addr
    struct sockaddr_in6:
        in6_addr sin6_addr
    # Room for an address of any family
    struct sockaddr_storage:
        pass
    int AF_INET
    int AF_INET6
    int AF_UNIX

cdef void name_peer(const sockaddr* peer, uint8_t* address, char* text, socklen_t size) noexcept
cdef bytes unix_address(str path)
cdef bytes internet_address(int family, tuple address)
cdef list numeric_addresses(str host, int port)
