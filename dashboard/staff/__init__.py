"""People and how they come: accounts, invitations, tables of teachers."""
