"""Accord: announces that a call is recorded and why, records it, seals and stores it."""

__version__ = "0.1.0"
