"""What IT staff set: the school's file, rules, devices. Each is one function that its page and its API share."""
