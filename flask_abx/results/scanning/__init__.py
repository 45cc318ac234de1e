"""What is asked of the database, and what its answer means."""
