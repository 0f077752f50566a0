"""A customer's own settings: its name, its time zone, and how it leaves."""

from web.company.views import blueprint

__all__ = ["blueprint"]
