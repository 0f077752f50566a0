"""The download of all recordings for a departing customer."""

from web.offboarding.views import blueprint

__all__ = ["blueprint"]
