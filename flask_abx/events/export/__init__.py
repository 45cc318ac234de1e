"""What the tables hold, written as files for others to read."""
