"""The page that shows every part of the panel's design."""

from web.design.views import blueprint

__all__ = ["blueprint"]
