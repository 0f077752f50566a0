"""A customer's people: invitations, access, and links to set a password or confirm an address."""
