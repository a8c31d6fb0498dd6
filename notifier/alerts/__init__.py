"""What we owe to whom, and its words."""
