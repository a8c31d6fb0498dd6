"""Feeds: fetch what publishers publish, parse it, and detect what is new."""
