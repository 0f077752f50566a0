"""What a customer who leaves is handed."""

from web.offboarding.views import blueprint

__all__ = ["blueprint"]
