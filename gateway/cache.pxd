# C types of gateway/cache.py for the compiled build.
from cython cimport locals
from gateway.wire cimport Message, decode_message

cdef class Cached:
    cdef public Message message
    cdef public double stored_at, expires, stale_until, retry_at
    cdef public Py_ssize_t cost
    cdef public long long hits
    cpdef long long age(self, double now)

cdef class Cache:
    cdef public Py_ssize_t limit, size
    cdef public long long evicted
    cdef long long _min_ttl, _max_ttl, _max_negative_ttl
    cdef double _stale
    cdef public object _entries
    @locals(entry=Cached)
    cpdef Cached get(self, object key, double now)
    @locals(entry=Cached)
    cpdef Cached get_stale(self, object key, double now)
    @locals(held=Cached, is_failure=bint, negative=bint, highest="long long", life="long long")
    cpdef Cached put(self, object key, Message message, double now)
    @locals(entry=Cached)
    cpdef drop(self, object key)
    @locals(oldest=Cached)
    cdef Cached _keep(self, object key, Cached entry)

@locals(octets=Py_ssize_t)
cpdef Py_ssize_t cost(Message message) except -1

cpdef bint is_negative(Message message) except -1

cdef Message _with_ttls_between(Message message, long long lowest, long long highest)
