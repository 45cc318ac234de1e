"""Commands on what happened: what is kept, taken in and given out."""
