"""The commands on results: refresh, results and health."""
