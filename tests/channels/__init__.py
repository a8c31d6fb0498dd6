"""Tests of the ways out, against real peers on loopback."""
