"""Choosing a purpose, and listening."""

from web.playback.views import blueprint

__all__ = ["blueprint"]
