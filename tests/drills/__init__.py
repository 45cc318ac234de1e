"""Drills: they break what a served application stands on, and watch its promises."""
