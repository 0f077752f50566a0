"""Calls that go on now, and what one may ask of them."""

from web.live.views import blueprint

__all__ = ["blueprint"]
