"""Who gets which variant: a pure function of definitions, unit and time."""
