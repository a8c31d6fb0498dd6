"""The operator's door: one file a verb."""
