"""Mail to people: messages from templates, a queue in the catalogue, and delivery over SMTP."""
