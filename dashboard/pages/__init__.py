"""The pages, a module for each thing that people do; every module has its routes in ``PAGES`` (dashboard/web.py)."""
