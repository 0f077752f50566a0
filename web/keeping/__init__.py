"""How long a recording is kept, and what its customer's admins can do about it."""

from web.keeping import later, times, views  # noqa: F401  # their pages belong to the blueprint
from web.keeping.admins import blueprint

__all__ = ["blueprint"]
