"""The call list."""

from web.recordings.views import blueprint

__all__ = ["blueprint"]
