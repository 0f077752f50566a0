"""The usage page, for a customer's admins."""

from web.usage.views import blueprint as blueprint
