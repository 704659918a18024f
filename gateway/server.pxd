# C types of gateway/server.py for the compiled build.
from cython cimport locals
from gateway.hot cimport Batch, Cell, Client, Subject, View, refill
from gateway.pipeline cimport Forward, Outcome
from gateway.wire cimport Message, Query, decode_query

cdef class Job:
    cdef public Resolver resolver
    cdef public View view
    cdef public dict answers
    cdef public object respond
    cdef public Listener listener
    cdef public bytes data, address
    cdef public double began
    cdef public tuple peer
    cdef public Query query
    cdef public Forward forward

cdef class Listener:
    cdef public object sock
    cdef public Batch batch
    cdef public bint flush_due

cdef class Resolver:
    cdef public object live, clients, upstreams, cache, tail, counts, desk, statistics
    cdef public long long pending
    cdef public object _texts, _shelf
    cdef public bytes _secret
    cdef public dict _labels
    cdef public list _touched, _listeners, _forwards
    cdef public long long _datagrams
    cdef public tuple _latest
    cdef _datagram(self, Listener listener, bytes data, tuple peer, Client client, double now)
    cdef _send(self, Job job, bytes body)
    cdef _ask(self, Job job)
    @locals(job=Job)
    cdef _forward(self)
    @locals(now=double)
    cdef _advance(self, Job job, object result)
    cpdef answered(self, Job job, object result)
    @locals(query=Query, subject=Subject, cell=Cell, client=Client)
    cdef _deliver(self, Job job, Outcome outcome, double now)
    cdef _label(self, Outcome outcome)
    @locals(view=View)
    cdef _begin(self, Job job)
    cdef _count_path(self, str source, double seconds)
