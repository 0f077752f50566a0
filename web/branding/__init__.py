"""How the panel and its mails present the provider, set by an operator."""

from web.branding.views import blueprint

__all__ = ["blueprint"]
