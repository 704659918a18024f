# C types of gateway/private_address.py for the compiled build.
from cython cimport locals

@locals(first=int, second=int)
cpdef bint is_private(bytes packed)
