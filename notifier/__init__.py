"""A policy-change notifier: from a government's feed to a subscriber's inbox, with an event log between."""
