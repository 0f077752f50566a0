"""What admins are told: the page that lists it, and how each of them chooses."""

from web.notifications.views import blueprint as blueprint
