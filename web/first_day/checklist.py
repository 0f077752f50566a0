"""What a customer has set up so far, and what comes next: from what there is, so nothing has to be ticked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from flask import url_for

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, NotRecordedRow, RecordingRow, TenantRow
from recorder.domain.roles import OPERATOR, SUPPORT
from recorder.features.live.queries import LiveRow, ended_calls, live_calls
from recorder.features.tenants.drafts import drafted_lines
from recorder.playback import grants
from web.state import current_visitor, now, page_faults, panel_state

StepState = Literal["not_begun", "begun", "done"]
StepName = Literal["register", "number", "purposes", "sound", "on", "call"]

NOT_BEGUN: Final[StepState] = "not_begun"
BEGUN: Final[StepState] = "begun"
DONE: Final[StepState] = "done"

PROVIDER_PAGES: Final = {OPERATOR: "provider.list_customers", SUPPORT: "disputes.show_queue"}
"""The endpoint that the provider's people start with, by role."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``address`` is where it is done, ``next``: it is the one to do now."""

    name: StepName
    state: StepState
    address: str = ""
    next: bool = False


@dataclass(frozen=True, slots=True)
class TestCall:
    """How far the test call has come: in progress or being stored (``live``), stored (``recording``), heard,
    or why it was ``missed``."""

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


@dataclass(frozen=True, slots=True)
class Checklist:
    """The steps of the first day, for the ``line`` that is set up first (``None``: there is none yet)."""

    steps: tuple[Step, ...]
    line: LineRow | None
    call: TestCall

    @property
    def complete(self) -> bool:
        return all(step.state == DONE for step in self.steps)

    @property
    def next_step(self) -> Step | None:
        return next((step for step in self.steps if step.next), None)


def make_checklist(tenant: TenantRow, at: datetime) -> Checklist:
    """A customer's checklist at a time."""
    lines, drafted = queries.lines(tenant.id, faults=page_faults()), drafted_lines(tenant.id)
    line = _first_line(lines, drafted)
    call = _test_call(tenant.id, line, at)
    set_up = call.was_played or any(each.recorded for each in lines)
    draft = BEGUN if drafted else NOT_BEGUN
    page = "" if line is None else url_for("numbers.edit_setup", line_id=line.id)
    preview = "" if line is None else url_for("numbers.preview_setup", line_id=line.id)
    arrived = BEGUN if call.arrived or call.missed else NOT_BEGUN
    states: list[tuple[StepName, StepState, str]] = [
        ("register", DONE, ""),
        ("number", DONE if lines else NOT_BEGUN, url_for(_number_page())),
        ("purposes", DONE if set_up or drafted else NOT_BEGUN, page),
        ("sound", DONE if set_up else draft, preview if drafted else page),
        ("on", DONE if set_up else draft, preview),
        ("call", DONE if call.was_played else arrived, ""),
    ]
    first = next((name for name, state, _ in states if state != DONE), None)
    steps = tuple(Step(name, state, address, name == first) for name, state, address in states)
    return Checklist(steps, line, call)


def is_begun(tenant: str) -> bool:
    """Whether a customer has or had calls: then the list of calls is the page to start with."""
    return queries.has_recordings(tenant) or bool(queries.not_recorded(tenant, limit=1).rows)


def start_page() -> str:
    """The address of the page that the visitor starts with."""
    person = current_visitor()
    if person.is_provider:
        return url_for(PROVIDER_PAGES[person.user.role])
    if person.admin and not is_begun(person.tenant.id) and not make_checklist(person.tenant, now()).complete:
        return url_for("first_day.show")
    return url_for("call_list.list_calls")


def _number_page() -> str:
    """The endpoint at which a customer gets its number."""
    return "numbers.add_number" if panel_state().number_proofs else "numbers.show"


def _first_line(lines: Sequence[LineRow], drafted: frozenset[str]) -> LineRow | None:
    """The line to go on with: one that is recorded, else one that is being set up, else the first."""
    return min(lines, key=lambda each: (not each.recorded, each.id not in drafted), default=None)


def _test_call(tenant: str, line: LineRow | None, at: datetime) -> TestCall:
    heard_recording = grants.find_heard_recording(tenant)
    if heard_recording is not None:
        return TestCall(recording=queries.recording(tenant, heard_recording), was_played=True)
    if line is None:
        return TestCall()
    calls = (*live_calls(tenant, at), *ended_calls(tenant, at))
    live = next((each for each in calls if each.line == line.id), None)
    recording = next(iter(queries.recordings(tenant, line=line.id, limit=1).rows), None)
    missed = next((each for each in queries.not_recorded(tenant, limit=1).rows if each.line == line.id), None)
    if missed is not None and recording is not None and recording.started_at >= missed.started_at:
        missed = None
    return TestCall(live, recording, missed=missed)
