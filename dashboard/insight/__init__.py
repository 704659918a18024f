"""What can be seen of the running box: why a name is blocked, decisions as they are made, figures, health."""
