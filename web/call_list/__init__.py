"""The call list."""

from web.call_list.views import blueprint

__all__ = ["blueprint"]
