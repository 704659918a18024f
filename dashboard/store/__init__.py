"""The store: people, sessions, requests, reports, the audit log, statistics. Everything that the resolver's workers need is in files, not here."""
