"""Optional neighbours."""
