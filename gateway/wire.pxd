# C types of gateway/wire.py for the compiled build. Every index into a message is checked there as in plain Python.
from cython cimport locals
from gateway.private_address cimport is_private
from gateway.wire_names cimport encode_name, name_text, read_name, read_plain_name
from gateway.wire_records cimport Found, read_edns, read_records

# The order is that of the dataclass: its constructor takes it from here.
cdef class Query:
    cdef public unsigned int id, flags
    cdef public bytes question
    cdef public str qname
    cdef public unsigned int qtype, qclass
    cdef public object edns

cdef class Message:
    cdef public unsigned int id, flags, rcode, qtype, qclass
    cdef public bytes question, data
    cdef public str qname
    cdef public object edns
    cdef public tuple counts, ttl_offsets, targets, bindings, kept_records
    cdef public Py_ssize_t end
    cdef public bint opt_is_last, answered, private
    cdef public long long ttl, highest_ttl
    cpdef forget_records(self)

@locals(flags="unsigned int")
cpdef Query decode_query(bytes data)

@locals(at=Py_ssize_t, end=Py_ssize_t, authorities=int, additionals=int, query=Query)
cdef Query _query(bytes data, unsigned int flags)

@locals(index=int, is_root=bint, length=Py_ssize_t)
cdef tuple _query_records(bytes data, Py_ssize_t at, int qtype, int authorities, int additionals)

@locals(ident="unsigned int", flags="unsigned int", counts=list)
cpdef Message decode_message(bytes data, Py_ssize_t asked=*, str qname=*)

@locals(at=Py_ssize_t, end=Py_ssize_t, message=Message, found=Found)
cdef Message _message(bytes data, unsigned int ident, unsigned int flags, list counts)

@locals(at=Py_ssize_t, end=Py_ssize_t, rdata_at=Py_ssize_t, length=Py_ssize_t, flags="unsigned int", answers=int, ttl="long long",
               lowest="long long", highest="long long", private=bint, start=bytes, ttl_offsets=list, message=Message)
cdef Message _plain_message(bytes data, Py_ssize_t asked, str qname)

cpdef bytes encode_question(str qname, int qtype, int qclass=*)

@locals(flags="unsigned int", start=bytes, opt=bytes)
cpdef bytes encode_query(unsigned int ident, bytes question, bint do=*, bint cd=*, bint rd=*, bint ad=*, object edns_size=*)
