# C types of gateway/wire_records.py for the compiled build. Every index into a message is checked there as in plain Python.
from cython cimport locals
from gateway.private_address cimport is_private
from gateway.wire_names cimport read_name

# The order is that of the dataclass: its constructor takes it from here.
cdef class Found:
    cdef public list records, ttls, targets, bindings
    cdef public object edns
    cdef public Py_ssize_t opt_at, opt_end
    cdef public list overlong
    cdef public bint private

cpdef object read_edns(bytes data, int size, long long ttl, Py_ssize_t start, Py_ssize_t end)

@locals(size=Py_ssize_t, section=int, start=Py_ssize_t, pointer=int, rtype=int, rclass=int, length=Py_ssize_t,
               ttl="long long", ttl_at=Py_ssize_t, rdata_at=Py_ssize_t)
cpdef Py_ssize_t read_records(bytes data, Py_ssize_t at, object counts, dict names, Found found) except -1

@locals(at=Py_ssize_t, start=Py_ssize_t)
cdef _read_names(bytes data, object record, dict names, Found found)
