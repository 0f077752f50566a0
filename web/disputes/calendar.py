"""The time at which people listen together, as a file for their calendar (iCalendar, RFC 5545)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import vobject
from flask import Response
from flask_babel import gettext as _

from recorder.features.disputes.rules import Dispute, Guest
from web.team.views import public_link

LENGTH: Final = timedelta(minutes=10)
"""How long the invitation says that it takes."""


def calendar_file(dispute: Dispute, guest: Guest, page: str, now: datetime) -> Response:
    """The time that a guest chose; ``page`` is the path of where somebody comes in, which is no secret
    link."""
    if guest.time is None:
        raise ValueError(f"guest {guest.id} has chosen no time")
    calendar = vobject.iCalendar()
    event = calendar.add("vevent")
    values: dict[str, Any] = {
        "uid": guest.id,
        "dtstamp": _utc(now),
        "dtstart": _utc(guest.time),
        "dtend": _utc(guest.time + LENGTH),
        "summary": str(_("Listen together: %(subject)s", subject=dispute.subject)),
        "url": public_link(page),
    }
    for name, value in values.items():
        event.add(name).value = value
    headers = {"Content-Disposition": f'attachment; filename="{guest.time:%Y-%m-%d}.ics"'}
    return Response(calendar.serialize(), headers=headers, content_type="text/calendar; charset=utf-8")


def _utc(at: datetime) -> datetime:
    """A time with the one zone that the library writes as UTC."""
    return at.astimezone(vobject.icalendar.utc)
