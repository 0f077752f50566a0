"""What is announced on the customer's numbers."""

from web.numbers.views import blueprint

__all__ = ["blueprint"]
