"""The subscribers as values: who watches what, how each is reached, and when."""
