"""Tests of words, queries, watchlists and the index that holds them against statements."""
