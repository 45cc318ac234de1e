"""Simulated traffic, from the first visit to the last event."""
