"""Reading documents of publishers. What parses runs in a child process with limits."""
