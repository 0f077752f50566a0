"""A person's own call: the customer's setting and codes, and the public page that a code opens."""

from web.own_call.views import blueprint

__all__ = ["blueprint"]
