"""Random splits of what has already happened."""
