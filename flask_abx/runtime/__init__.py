"""One request: who it is, what it gets, what it did."""
