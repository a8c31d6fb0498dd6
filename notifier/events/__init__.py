"""What happens, as facts in the past tense: one file for each noun."""
