"""Log-in, sessions and rate limits."""

from web.account.views import blueprint

__all__ = ["blueprint"]
