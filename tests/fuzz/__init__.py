"""Mutation fuzzing of everything that reads packets. ``python -m tests.fuzz --packets N --seed S --jobs J``."""
