"""A tier's rules served as a DNS response policy zone to resolvers that a school has already: AXFR, IXFR, NOTIFY, TSIG."""
