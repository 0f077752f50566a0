"""What the law asks of a customer, in one place."""

from web.compliance.views import blueprint

__all__ = ["blueprint"]
