"""Disputes: opened from a call, settled by listening together."""

from web.disputes import guest_views, helper_views, notes_views, outcome_page, views
from web.disputes.blueprint import blueprint

__all__ = [
    "blueprint", "guest_views", "helper_views", "notes_views", "outcome_page", "views",
]  # fmt: skip
