"""The running box: DNS, metrics and the command line."""
