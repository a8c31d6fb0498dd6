"""Tests of what we owe and how it is worded."""
