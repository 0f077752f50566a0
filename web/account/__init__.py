"""Log-in, sessions and rate limits, and a person's own account."""

from web.account import account_page, colleagues, factors, passkey_views, views
from web.account.blueprint import blueprint

__all__ = ["account_page", "blueprint", "colleagues", "factors", "passkey_views", "views"]
