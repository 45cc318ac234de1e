"""One run of an experiment, and what each look at it leaves for the next."""
