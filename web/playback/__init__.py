"""The page of purposes, the player, and the audio."""

from web.playback.views import blueprint

__all__ = ["blueprint"]
