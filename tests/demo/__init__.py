"""The demo: the story, and what its showing leaves behind."""
