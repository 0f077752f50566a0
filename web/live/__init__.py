"""Active calls and commands to them."""

from web.live.views import blueprint

__all__ = ["blueprint"]
