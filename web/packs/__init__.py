"""Packs: the page on which one is made, its report, and the public page that says how one is checked."""

from web.packs.views import blueprint

__all__ = ["blueprint"]
