"""Whether everything is set up well: doctor."""
