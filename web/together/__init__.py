"""Differences: opened from a call, settled by listening together."""

from web.together import guest_views, helper_views, notes_views, outcome_page, room_views, views
from web.together.blueprint import blueprint

__all__ = [
    "blueprint", "guest_views", "helper_views", "notes_views", "outcome_page", "room_views", "views",
]  # fmt: skip
