"""The school's side of a province's lists: ask, check, keep, put in force, go back. ``update.py`` has the sequence."""
