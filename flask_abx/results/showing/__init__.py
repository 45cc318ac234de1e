"""Results as text, charts and pages."""
