"""Who may see what, and when. Pure: ``now`` and bytes are arguments; only ``load`` and ``state`` touch a file."""
