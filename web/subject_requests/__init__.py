"""Persons who ask for their recordings: the register, one request, and the copy that they are given."""

from web.subject_requests.views import blueprint

__all__ = ["blueprint"]
