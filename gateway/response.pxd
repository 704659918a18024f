# C types of gateway/response.py for the compiled build.
from cython cimport locals
from gateway.wire cimport Message, Query
from gateway.wire_names cimport encode_name, read_plain_name

@locals(at=Py_ssize_t, ttl="long long")
cdef long long _write_ttls(bytearray body, Message message, long long age, long long limit, object fixed) except -1
