"""Where experiments are defined."""
