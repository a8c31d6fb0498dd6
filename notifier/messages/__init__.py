"""What an alert, a digest or a notice says, from the log to the rendered message."""
