"""Shared by the retention pages: blueprint, decorator for admins, dates in the customer's time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from recorder.domain import time_zones
from recorder.errors import RetentionError
from recorder.seal.amendment import By
from web.decorators import admins_only
from web.state import current_visitor

blueprint = Blueprint("retention", __name__, template_folder="templates")


def _page_url(named: Mapping[str, object]) -> str:
    """The address of the recording's retention page, or else of the retention limits."""
    recording = named.get("recording_id")
    return (
        url_for("retention.show", recording_id=recording) if recording else url_for("retention.show_limits")
    )


for_admins = admins_only(back=_page_url)


def author() -> By:
    """The visitor as the author of an amendment."""
    return By("user", current_visitor().user.id)


def redirect_to_recording(recording_id: str) -> ResponseReturnValue:
    """Redirect to the recording's retention page."""
    return redirect(url_for("retention.show", recording_id=recording_id), 303)


def zone() -> ZoneInfo:
    return time_zones.display_zone(current_visitor().tenant.time_zone)


def local_date(at: datetime) -> date:
    """The date of a time in the customer's time zone."""
    return at.astimezone(zone()).date()


def parse_date(text: str, error_id: str) -> date:
    """A date as a browser sends it (ISO 8601).  Raises :class:`RetentionError` with ``error_id`` if it is
    invalid."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RetentionError(error_id, "invalid date") from None


def start_of_day(day: date, error_id: str) -> datetime:
    """The start of a day in the customer's time zone, in UTC.  Raises :class:`RetentionError` with
    ``error_id`` if the calendar ends before it."""
    try:
        return datetime.combine(day, time(), zone()).astimezone(UTC)
    except OverflowError:
        raise RetentionError(error_id, "invalid date") from None
