"""When a match becomes an alert: stories, bursts, and what waits for a digest."""
