"""Logging in and out."""

from web.account.views import blueprint

__all__ = ["blueprint"]
