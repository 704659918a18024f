# C types of gateway/pipeline.py for the compiled build.
from cython cimport locals
from gateway.cache cimport Cache, Cached
from gateway.wire cimport Message, Query

# The order of the fields is that of the dataclasses: their constructors take it from here.
cdef class Outcome:
    cdef public object reply, verdict
    cdef public str source
    cdef public double keep_until
    cdef public object question

cdef class Forward:
    cdef public Query query
    cdef public object policy
    cdef public double until
    cdef public object verdict, question
    cdef public bytes asked

@locals(forward=Forward, asked=bytes, cached=Cached, stale=Cached, cache=Cache)
cpdef object begin(Query query, object policy, double until, object desk, double now)

@locals(cached=Cached, stale=Cached, cache=Cache, message=Message)
cpdef Outcome finish(Forward forward, object result, object desk, double now)

cdef Outcome _own_names(Query query, object desk)

@locals(query=Query)
cdef Outcome _from_message(Forward forward, Message message, Cached cached, str source, object desk, double now)

cdef bint _is_rebinding(Message message, str qname, object desk) except -1
