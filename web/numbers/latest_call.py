"""How far the latest call of a number has come: what a page shows while somebody makes a test call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from recorder.catalogue import queries
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.features.live.queries import LiveRow, ended_calls, live_calls


@dataclass(frozen=True, slots=True)
class TestCall:
    """How far a test call has come: in progress or being stored (``live``), stored (``recording``), heard, or
    why it was ``missed``."""

    live: LiveRow | None = None
    recording: RecordingRow | None = None
    was_played: bool = False
    missed: NotRecordedRow | None = None

    @property
    def arrived(self) -> bool:
        return self.live is not None or self.recording is not None

    @property
    def announced(self) -> bool:
        """Whether the caller was told, by the call's markers or by the audio."""
        return bool(self.live and self.live.announced) or bool(self.recording and self.recording.announced)

    @property
    def keep_answer(self) -> str | None:
        """The answer to the keep question; ``None`` while it is not known, or if nobody asked."""
        return None if self.recording is None else self.recording.keep_answer

    @property
    def kept_until(self) -> date | None:
        """The last day of the recording, as agreed or else as announced."""
        if self.recording is None:
            return None
        agreed = max((last for _purpose, last in self.recording.consented_until), default=None)
        return agreed or self.recording.keep_until


def latest_call(tenant: str, line: str, at: datetime, since: datetime | None = None) -> TestCall:
    """The latest call of a line, among those that began after ``since``."""
    calls = (*live_calls(tenant, at), *ended_calls(tenant, at))
    live = next((each for each in calls if each.line == line and _is_new(each.started_at, since)), None)
    recording = next(iter(queries.recordings(tenant, line=line, since=since, limit=1).rows), None)
    missed = next(iter(queries.not_recorded(tenant, scope=[line], since=since, limit=1).rows), None)
    if missed is not None and recording is not None and recording.started_at >= missed.started_at:
        missed = None
    return TestCall(live, recording, missed=missed)


def _is_new(at: datetime, since: datetime | None) -> bool:
    return since is None or at >= since
