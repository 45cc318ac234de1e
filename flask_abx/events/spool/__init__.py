"""Files on disk that hold records until the database has them."""
