"""What teachers do with a class: modes, unblocks, exam sites, pupils' requests."""
