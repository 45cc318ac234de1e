"""What the formulas stand on: moments, families, and the normal distribution."""
