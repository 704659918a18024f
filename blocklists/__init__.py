"""How a list travels: source -> rules -> bundle -> a school's disk."""
