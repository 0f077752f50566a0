"""Notes and labels of a call, on its page."""

from web.notes.views import blueprint

__all__ = ["blueprint"]
