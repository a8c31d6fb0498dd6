"""What people ask of the log, one question a file: they read and record nothing."""
