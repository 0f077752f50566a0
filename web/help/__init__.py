"""The help page: what people ask most, and whom else to ask."""

from web.help.views import blueprint

__all__ = ["blueprint"]
