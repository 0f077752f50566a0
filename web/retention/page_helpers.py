"""What the retention pages share: their blueprint, the guard for admins, days in the customer's time zone."""

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
from web.state import someone

blueprint = Blueprint("retention", __name__, template_folder="templates")


def _to_its_page(named: Mapping[str, object]) -> str:
    """The recording's page, or that of the customer's retention limits."""
    mine = named.get("recording_id")
    return url_for("retention.show", recording_id=mine) if mine else url_for("retention.times")


for_admins = admins_only(back=_to_its_page)


def me() -> By:
    """The user who asks, as the author of an amendment."""
    return By("user", someone().user.id)


def to_recording(recording_id: str) -> ResponseReturnValue:
    """Back to the recording's retention page."""
    return redirect(url_for("retention.show", recording_id=recording_id), 303)


def zone() -> ZoneInfo:
    return time_zones.display_zone(someone().tenant.time_zone)


def day_of(at: datetime) -> date:
    """The date of a time in the customer's time zone."""
    return at.astimezone(zone()).date()


def day_in(text: str, error_id: str) -> date:
    """A date as a browser sends it.  Raises :class:`KeepingError` with that id where it cannot be read."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise KeepingError(error_id, "that is no day") from None


def beginning(day: date, error_id: str) -> datetime:
    """The start of a day in the customer's time zone.  Raises :class:`KeepingError` with that id where the
    calendar has none."""
    try:
        return datetime.combine(day, time(), zone()).astimezone(UTC)
    except OverflowError:
        raise KeepingError(error_id, "that is no day") from None
