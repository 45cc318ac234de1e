"""The commands: flask abx ..."""
