"""Who may see what, and when. Pure: ``now`` and bytes are arguments; only ``state`` reads and writes a file."""
