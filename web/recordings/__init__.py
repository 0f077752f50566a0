"""The list of calls."""

from web.recordings.views import blueprint

__all__ = ["blueprint"]
