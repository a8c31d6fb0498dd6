"""What the service does, one step a file: each reads the log, does one thing, and appends what happened."""
