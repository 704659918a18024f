"""The publisher's side of the lists: a province's TUF repository, as a folder that people sign and a web server serves.

Trust: ``ceremony`` (who may sign), ``staging``, ``signing``, ``plan`` and ``releasing``, ``status``. Content: ``lists`` and what it
uses. Trust knows nothing of content but files and their paths.
"""
