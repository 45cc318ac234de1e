"""Measures of what the extension costs, run with ``python -m tests.benchmarks``."""
