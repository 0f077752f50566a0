"""How the panel and its mails present the provider."""
