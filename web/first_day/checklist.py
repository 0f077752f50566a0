"""What a customer has set up so far, and what comes next: from what there is, so nothing has to be ticked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from flask import url_for

from recorder.catalogue import queries
from recorder.catalogue.records import LineRow, TenantRow
from recorder.domain.roles import OPERATOR, SUPPORT
from recorder.features.tenants.drafts import drafted_lines
from recorder.playback import grants
from web.numbers.latest_call import TestCall, latest_call
from web.state import current_visitor, now, page_faults, panel_state

StepState = Literal["not_begun", "begun", "done"]
StepName = Literal["register", "number", "purposes", "sound", "on", "keep", "call"]

NOT_BEGUN: Final[StepState] = "not_begun"
BEGUN: Final[StepState] = "begun"
DONE: Final[StepState] = "done"

OPTIONAL: Final[frozenset[StepName]] = frozenset({"keep"})
"""Steps that nobody has to do."""

PROVIDER_PAGES: Final = {OPERATOR: "provider.list_customers", SUPPORT: "disputes.show_queue"}
"""The endpoint that the provider's people start with, by role."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``address`` is where it is done, ``next``: it is the one to do now."""

    name: StepName
    state: StepState
    address: str = ""
    next: bool = False

    @property
    def optional(self) -> bool:
        """Whether the first day is complete without it."""
        return self.name in OPTIONAL


@dataclass(frozen=True, slots=True)
class Checklist:
    """The steps of the first day, for the ``line`` that is set up first (``None``: there is none yet)."""

    steps: tuple[Step, ...]
    line: LineRow | None
    call: TestCall

    @property
    def complete(self) -> bool:
        return all(step.state == DONE or step.optional for step in self.steps)

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
    question = "" if line is None else url_for("numbers.show_keep_question", line_id=line.id)
    arrived = BEGUN if call.arrived or call.missed else NOT_BEGUN
    states: list[tuple[StepName, StepState, str]] = [
        ("register", DONE, ""),
        ("number", DONE if lines else NOT_BEGUN, url_for(_number_page())),
        ("purposes", DONE if set_up or drafted else NOT_BEGUN, page),
        ("sound", DONE if set_up else draft, preview if drafted else page),
        ("on", DONE if set_up else draft, preview),
        ("keep", DONE if line and line.keep else NOT_BEGUN, question),
        ("call", DONE if call.was_played else arrived, ""),
    ]
    first = next((name for name, state, _ in states if state != DONE and name not in OPTIONAL), None)
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
    return latest_call(tenant, line.id, at)
