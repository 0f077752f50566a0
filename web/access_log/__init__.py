"""The access log's pages, for a customer's admins and auditors."""

from web.access_log.views import blueprint as blueprint
