"""What a customer who leaves is handed."""

from web.leaving.views import blueprint

__all__ = ["blueprint"]
