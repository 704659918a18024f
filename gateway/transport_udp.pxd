# C types of gateway/transport_udp.py for the compiled build.
from cython cimport locals
from gateway.datagrams cimport Datagrams, Peer
from gateway.exchange cimport Attempt

cdef class UdpTransport:
    cdef object _loop, _received, _failed
    cdef Py_ssize_t _most
    cdef dict _open, _peers
    cdef bint _draining
    cdef list _finished
    cdef Datagrams _datagrams
    @locals(peer=Peer, handle=int)
    cpdef send(self, Attempt attempt)
    cpdef drop(self, Attempt attempt)
    @locals(attempt=Attempt, data=bytes, replies=list)
    cpdef _drain(self)
