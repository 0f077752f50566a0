"""Numbers: which are recorded, what they announce, and how an admin sets them up."""

from web.numbers import proof_views, setup_views, views
from web.numbers.blueprint import blueprint

__all__ = ["blueprint", "proof_views", "setup_views", "views"]
