"""Subject requests: the register, the steps of one request, and the copy for the person."""

from web.subject_requests.views import blueprint

__all__ = ["blueprint"]
