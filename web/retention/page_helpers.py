"""What the pages of this room have in common: who may change anything, and days in the customer's zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from recorder.domain import time_zones
from recorder.errors import KeepingError
from recorder.seal.amendment import By
from web.decorators import admins_only
from web.state import changes, someone

__all__ = ["blueprint", "changes", "for_admins", "me", "to_recording"]

blueprint = Blueprint("retention", __name__, template_folder="templates")


def _to_its_page(named: Mapping[str, object]) -> str:
    """The recording's, or that of all times."""
    mine = named.get("recording_id")
    return url_for("retention.show", recording_id=mine) if mine else url_for("retention.times")


for_admins = admins_only(back=_to_its_page)


def me() -> By:
    """Who asks, as it is signed."""
    return By("user", someone().user.id)


def to_recording(recording_id: str) -> ResponseReturnValue:
    """Back to the page of how long it is kept."""
    return redirect(url_for("retention.show", recording_id=recording_id), 303)


def zone() -> ZoneInfo:
    return time_zones.usable(someone().tenant.time_zone)


def day_of(at: datetime) -> date:
    """The customer's day of a time."""
    return at.astimezone(zone()).date()


def day_in(text: str, error_id: str) -> date:
    """A day as a browser sends it.  Raises :class:`KeepingError` with that id for what is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise KeepingError(error_id, "that is no day") from None


def beginning(day: date, error_id: str) -> datetime:
    """The beginning of a day in the customer's zone.  Raises :class:`KeepingError` with that id where there
    is none."""
    try:
        return datetime.combine(day, time(), zone()).astimezone(UTC)
    except OverflowError:
        raise KeepingError(error_id, "that is no day") from None
