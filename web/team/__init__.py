"""The customer's people: the team page, invitations, lost passwords and changed addresses."""

from web.team import access, account_links, invitation, views
from web.team.blueprint import blueprint

__all__ = ["access", "account_links", "blueprint", "invitation", "views"]
