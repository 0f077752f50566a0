"""The customers as the provider's operators see them: who they are, whom to talk to, and what does not work;
nothing that was said, and nobody who called."""
