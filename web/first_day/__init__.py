"""The first day of a customer in the panel."""

from web.first_day.views import blueprint

__all__ = ["blueprint"]
