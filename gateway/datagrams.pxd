# C types of gateway/datagrams.py for the compiled build, and the C library's calls that it makes there.
from cython cimport locals

cdef extern from "<sys/socket.h>" nogil:
    struct sockaddr:
        pass
    int c_socket "socket" (int, int, int)
    int c_bind "bind" (int, const sockaddr*, unsigned int)
    int c_connect "connect" (int, const sockaddr*, unsigned int)
    Py_ssize_t c_send "send" (int, const void*, size_t, int)
    Py_ssize_t c_recv "recv" (int, void*, size_t, int)

cdef extern from "<unistd.h>" nogil:
    int c_close "close" (int)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int c_epoll_ctl "epoll_ctl" (int, int, int, epoll_event*)

cdef extern from "<errno.h>" nogil:
    int c_errno "errno"

cdef class Peer:
    cdef public int family
    cdef public tuple address
    cdef public str anywhere
    cdef public bytes packed
    cdef public bytearray local

cdef class Datagrams:
    cdef object random
    cdef object epoll
    cdef int number
    cdef dict sockets
    cdef epoll_event event
    cdef char buffer[4096]
    cpdef int open(self, Peer peer, bytes packet) except -1
    @locals(handle=int, tries=int, port=int, failed=int)
    cdef int _open_compiled(self, Peer peer, bytes packet) except -1
    cdef int _bind(self, int handle, bytearray local, int port)
    @locals(size=Py_ssize_t)
    cpdef bytes receive(self, int handle)
    cpdef close(self, int handle)
