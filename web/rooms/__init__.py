"""Rooms: people in different places hear the same moment of a recording."""

from web.rooms.views import blueprint

__all__ = ["blueprint"]
