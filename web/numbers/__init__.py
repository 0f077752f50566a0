"""The customer's numbers and their announcements."""

from web.numbers.views import blueprint

__all__ = ["blueprint"]
