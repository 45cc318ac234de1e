"""From sums to readings."""
