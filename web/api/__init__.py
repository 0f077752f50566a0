"""What a customer's own programs may ask."""

from web.api.views import blueprint

__all__ = ["blueprint"]
