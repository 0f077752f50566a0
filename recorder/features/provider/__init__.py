"""The customers as the provider's operators see them: who they are, and nothing of their calls."""
