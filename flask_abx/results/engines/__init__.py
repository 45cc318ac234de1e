"""Engines that SQLAlchemy does not speak to."""
