"""All watchlists at once, held against one statement."""
