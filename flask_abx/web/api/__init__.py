"""The HTTP API for front ends."""
