"""Retention: a recording is kept for as long as announced, then erased (P9); amendments, legal holds, key
rotation."""
