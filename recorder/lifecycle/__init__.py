"""Kept as long as announced, then gone (P9)."""
