# C types of gateway/upstream.py for the compiled build.
from cython cimport locals
from gateway.exchange cimport Attempt, Exchange
from gateway.transport_udp cimport UdpTransport
from gateway.wire cimport Message

cdef class Upstreams:
    cdef object _loop, _random, _sweep_timer, _default, _cafile
    cdef Py_ssize_t _limit
    cdef UdpTransport _udp
    cdef dict _streams, _https, _forward, _by_question, _waiting
    cdef public long long coalesced, refused
    @locals(exchange=Exchange, now=double)
    cpdef ask(self, object question, object done, bytes asked=*)
    @locals(attempt=Attempt)
    cdef _obey(self, Exchange exchange, object command, double now)
    @locals(exchange=Exchange, now=double)
    cpdef _received(self, Attempt attempt, bytes data)
    @locals(attempt=Attempt)
    cdef _finish(self, Exchange exchange, object result)
    cdef object _transport(self, Attempt attempt)
    @locals(exchange=Exchange, now=double)
    cpdef _sweep(self)
