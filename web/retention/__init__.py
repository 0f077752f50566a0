"""How long a recording is kept, and what its customer's admins can do about it."""

from web.retention import amendments, limits, views  # noqa: F401  # their pages belong to the blueprint
from web.retention.page_helpers import blueprint

__all__ = ["blueprint"]
