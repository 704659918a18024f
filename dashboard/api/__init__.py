"""The API under /api/v1: what the pages do, for programs. The same rules, the same changes, JSON instead of forms."""
