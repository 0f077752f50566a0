"""How long a recording is kept, and what its customer's admins can do about it."""

from web.keeping.views import blueprint

__all__ = ["blueprint"]
