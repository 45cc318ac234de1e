"""Pages for people: the list of experiments and their reports."""
