"""Records in the SQL tables."""
