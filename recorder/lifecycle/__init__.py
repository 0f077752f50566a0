"""Retention: a recording is kept as long as announced, then erased (P9)."""
