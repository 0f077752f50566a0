"""Numbers: which are recorded, what they announce, and how an admin sets them up."""

from web.numbers import (
    country_views,
    keep_views,
    proof_views,
    proposal_views,
    settings_views,
    setup_views,
    views,
)
from web.numbers.blueprint import blueprint

__all__ = [
    "blueprint",
    "country_views",
    "keep_views",
    "proof_views",
    "proposal_views",
    "settings_views",
    "setup_views",
    "views",
]
