"""What happened: records, the signals they fire and the sinks they go to."""
