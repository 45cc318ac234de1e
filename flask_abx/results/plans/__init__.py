"""How many units an experiment will need, and how many come."""
