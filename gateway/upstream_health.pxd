# C types of gateway/upstream_health.py for the compiled build.

cdef class Upstream:
    cdef public object address, srtt
    cdef public str zone, trouble
    cdef public bint only_streams, encrypted
    cdef public double patience, probe_at, no_edns_until, seconds
    cdef public int in_a_row, _probes_in_vain
    cdef public dict failures
    cdef public long long queries, answers, truncated, mismatches
    cpdef answered(self, double seconds)
    cdef _expect(self, double srtt)
