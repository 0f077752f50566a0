"""Names for numbers: on the call's page, in a list of their own, and imported."""

from web.contacts.views import blueprint

__all__ = ["blueprint"]
