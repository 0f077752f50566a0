"""Retention: how long and for which purposes recordings are kept, and how a customer's admins change that."""

from web.retention import amendments, limits, views  # noqa: F401  # they add their views to the blueprint
from web.retention.page_helpers import blueprint

__all__ = ["blueprint"]
