# The C types of gateway/hot.py, for the compiled build (Cython, augmenting .pxd). Plain Python does not read this file.
from cython cimport locals

cdef class Subject:
    cdef public str category, rung, qname

cdef class Cell:
    cdef public long long count
    cdef public unsigned long long bits

cdef class Entry:
    # What the hot loop reads stands together, so that it is in one line of the processor's cache.
    cdef public double fresh_until
    cdef public long hits
    cdef public Py_ssize_t label
    cdef public Subject subject
    cdef public size_t address
    cdef public Py_ssize_t length
    cdef public bytearray body
    cdef public tuple offsets
    cdef public double aged_at
    cdef public double expires
    cdef public object question

cpdef bint age(Entry entry, double now)

cdef class View:
    cdef public object policy
    cdef public double until
    cdef public dict answers
    cdef public list tally
    cdef public dict cells

cdef class Client:
    cdef public View view
    cdef public double rate
    cdef public double burst
    cdef public double tokens
    cdef public double refilled_at
    cdef public unsigned long long bit

cpdef bint refill(Client client, double now)

cdef class Batch:
    cdef public int fd
    cdef object touch, note
    cdef public Py_ssize_t first, last
    cdef public Py_ssize_t namelen, controllen
    cdef public long runts, limited, unsent, waiting
    cdef public object packet_bytes, name_bytes, control_bytes
    cdef public object receiving, receiving_iov, sending, sending_iov, queued, queued_iov
    cdef public list queued_bytes, slots
    cdef public size_t receiving_at, sending_at, queued_at
    cdef char* packets
    cdef char* names
    cdef unsigned int* lengths
    cdef size_t* pointers
    cdef char* controls
    cdef size_t* queued_words
    cdef size_t* queued_pointers
    cpdef int receive(self)
    cpdef point(self, Py_ssize_t place, Py_ssize_t slot)
    @locals(name=bytes, control=bytes)
    cpdef tuple peer(self, Py_ssize_t slot)
    cpdef send(self, size_t messages, Py_ssize_t count)
    @locals(at=Py_ssize_t, name=bytes, control=bytes, words="size_t*", pointers="size_t*")
    cpdef queue(self, bytes reply, tuple peer)
    cpdef flush(self)
    @locals(i=Py_ssize_t, count=Py_ssize_t, start=Py_ssize_t, length=Py_ssize_t, sent=Py_ssize_t, first=Py_ssize_t, last=Py_ssize_t,
                   packets="char*", names="char*", lengths="unsigned int*", pointers="size_t*", client=Client, view=View, entry=Entry,
                   subject=Subject, cell=Cell, misses=list, slots=list)
    cpdef tuple serve(self, dict clients, double now)

@locals(address=size_t)
cdef size_t _address(bytes data) except? 0
