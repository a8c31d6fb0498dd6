"""What is owed to whom, and what may be sent now: obligations, turns, outcomes, suspended channels."""
