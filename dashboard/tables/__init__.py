"""Tables that people bring: read as CSV, shown before anything is done, then done as one."""
