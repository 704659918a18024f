# C types of gateway/wire_names.py for the compiled build. Every index into a message is checked there as in plain Python.
from cython cimport locals

@locals(wire=bytearray, end=Py_ssize_t, dot=Py_ssize_t)
cpdef bytes encode_name(str name)

cpdef str name_text(list labels)

@locals(start=Py_ssize_t, length=Py_ssize_t, end=Py_ssize_t, ends=list, name=bytearray)
cpdef tuple read_plain_name(bytes data, Py_ssize_t at)

@locals(segment=Py_ssize_t, before=Py_ssize_t, end=Py_ssize_t, hops=Py_ssize_t, size=Py_ssize_t, length=Py_ssize_t,
               target=Py_ssize_t, labels=list)
cpdef tuple read_name(bytes data, Py_ssize_t at, object mutable=*)
