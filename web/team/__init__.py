"""The customer's people: the team page, invitations, lost passwords and changed addresses."""

from web.team.blueprint import blueprint

__all__ = ["blueprint"]
