"""Disputes: the two sides of a call remember it differently, and listen to it together."""
