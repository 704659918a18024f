"""Proving who one is: passwords, second steps, the school's own provider, and the first set-up."""
