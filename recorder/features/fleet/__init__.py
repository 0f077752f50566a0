"""All nodes at a glance."""
