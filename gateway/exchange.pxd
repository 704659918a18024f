# C types of gateway/exchange.py for the compiled build.
from cython cimport locals
from gateway.upstream_health cimport Upstream
from gateway.wire cimport Message, decode_message, encode_query, encode_question

cdef class Attempt:
    cdef public Exchange exchange
    cdef public Upstream upstream
    cdef public bytes packet
    cdef public double sent_at
    cdef public bint stream
    cdef public int forged
    cdef public object handle

cdef class Exchange:
    cdef public object question
    cdef public list waiting
    cdef public double due, deadline
    cdef object _order, _identifiers, _fallback
    cdef bytes _asked
    cdef int _next
    cdef double _interval
    cdef tuple _refusers, _troubles
    @locals(first=Upstream)
    cpdef Attempt begin(self, double now, bint patient=*)
    @locals(message=Message)
    cpdef object receive(self, Attempt attempt, bytes data, double now)
    @locals(asked=bytes, received=bytes)
    cdef bint _matches(self, bytes packet, bytes data) except -1
    @locals(upstream=Upstream)
    cdef _settle(self, Attempt winner, double now)
    @locals(packet=bytes, attempt=Attempt)
    cdef Attempt _ask(self, Upstream upstream, double now, bint stream, bint edns=*)

cdef bint _has_edns(bytes packet) except -1
