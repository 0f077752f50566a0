"""The page of a customer's API tokens."""

from web.api_tokens.views import blueprint

__all__ = ["blueprint"]
