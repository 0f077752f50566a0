"""The pages of the provider's own people: the customers and nodes, for operators, and the disputes, for
support."""

from web.provider import announcement_views, country_views, customer_views
from web.provider.views import blueprint

__all__ = ["announcement_views", "blueprint", "country_views", "customer_views"]
