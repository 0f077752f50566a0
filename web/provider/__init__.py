"""The pages of the provider's own people: the customers, nodes and settings, for operators, and the
differences, for support."""

from web.provider import settings_views
from web.provider.views import blueprint

__all__ = ["blueprint", "settings_views"]
