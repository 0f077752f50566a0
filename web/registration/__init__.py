"""Registration of new customers, where the provider allows it."""

from web.registration.views import blueprint

__all__ = ["blueprint"]
