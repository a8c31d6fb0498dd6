"""What runs in the child process: parsers of publishers' documents, under limits."""
