"""29–30 June 2020 replayed on loopback, with nothing to set up."""
