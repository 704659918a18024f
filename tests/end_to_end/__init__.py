"""The whole resolver as a process, asked by real clients. Needs dig, kdig, dnsperf, unbound, ip, unshare, nsenter and cc."""
