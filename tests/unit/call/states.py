"""Generator of docs/reference/states.md, the table of every state and event of a call.

    python -m tests.unit.call.states     writes it

Every reachable state of a call is given every event; the next states and the orders are collected by stage.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from recorder.call import initial, transfer_consent
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Finish, Phase, QuestionStep
from recorder.call.transfer_target import is_beside, names
from recorder.call.transitions import SILENCE
from recorder.domain import call_events
from recorder.domain.call_events import DELETE as DELETE_CODE
from recorder.domain.call_plan import (
    NOTICE,
    OPT_IN,
    OPT_OUT,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "states.md"
HEADER = """# Call states

What each event does in each reachable state of a call. `python -m tests.unit.call.states` generates the table
by trying every event of `recorder/domain/call_events.py` in every state. The orders in brackets are those of
`Do` in `recorder/call/state.py`. An event that is not listed for a state changes nothing there; *stays*
without an order means that a marker is written or a fact remembered.

"""

AT = datetime(2026, 11, 25, tzinfo=UTC)
PAUSE = timedelta(minutes=2)


def speech(name: str) -> Speech:
    return Speech(name, timedelta(seconds=3))


KEEP = KeepScript(speech("keep?"), speech("cue"), speech("yes"), speech("no"), speech("none"))
DELETE = DeleteScript(speech("delete?"), speech("deleted"))
SCRIPT = Script(speech("told"), speech("question"), speech("declined"), KEEP)
NOTICE_SCRIPT = TransferNoticeScript(speech("joining"))
CONSENT_SCRIPT = TransferNoticeScript(speech("joining"), refused=speech("refused"))
NO_KEEP = replace(SCRIPT, keep=None)
PLANS = (
    CallPlan(NOTICE, (replace(NO_KEEP, transfer_notice=NOTICE_SCRIPT),)),
    CallPlan(NOTICE, (replace(SCRIPT, delete=DELETE),)),
    CallPlan(NOTICE, (replace(SCRIPT, keep=replace(KEEP, question=None, destroy=True)),)),
    CallPlan(NOTICE, (SCRIPT,), at_pickup=True),
    CallPlan(OPT_OUT, (NO_KEEP,)),
    CallPlan(OPT_IN, (NO_KEEP, NO_KEEP), speech("menu")),
    CallPlan(OPT_OUT, (NO_KEEP,), outbound=True),
    CallPlan(OPT_IN, (NO_KEEP, NO_KEEP), speech("menu"), outbound=True),
    CallPlan(OPT_IN, (replace(NO_KEEP, transfer_notice=CONSENT_SCRIPT),)),
    CallPlan(OPT_OUT, (replace(NO_KEEP, transfer_notice=CONSENT_SCRIPT),)),
)
"""Lines that together have every option; options that do not affect each other are not combined."""

SOME = (PLANS[3], PLANS[5], PLANS[6])
"""Explored in seconds: they reach every stage but those of transfers and deletion."""

Make = Callable[[CallState], call_events.CallEvent]


def _prompt(what: type[call_events.CallEvent], **more: object) -> Make:
    return lambda state: what(AT, sound=state.prompt.sound.path, **more)  # type: ignore[arg-type]


def _announcement(elapsed: timedelta, talked_over: bool = False) -> Make:
    return lambda state: call_events.SoundEnded(
        AT + elapsed, sound=state.prompt.sound.path, complete=True, talked_over=talked_over
    )


def _event(what: type[call_events.CallEvent], **more: object) -> Make:
    event = what(AT, **more)  # type: ignore[arg-type]
    return lambda _state: event


def _question(what: type[call_events.CallEvent], leg: str, complete: bool = True) -> Make:
    more = {"complete": complete} if what is call_events.SoundEnded else {}
    return lambda state: what(AT, leg=leg, sound=state.question.sound, **more)


def _notice(what: type[call_events.CallEvent], elapsed: timedelta = timedelta(0)) -> Make:
    more = {"complete": True} if what is call_events.SoundEnded else {}
    event = what(AT + elapsed, leg=call_events.INTERNAL, sound=NOTICE_SCRIPT.sound.path, **more)
    return lambda _state: event


def _check(external: bool) -> Make:
    return lambda state: call_events.LegChecked(AT, other=state.internal.leg, external=external)


def _reconnect(**more: object) -> Make:
    """After a reconnect the call goes on as before, apart from ``more``."""
    return lambda state: call_events.CallReconciled(
        AT, since=AT, state="announced", capturing=True, other=state.internal.leg, **more
    )  # type: ignore[arg-type]


EVENTS: dict[str, Make] = {
    "recording starts": _event(call_events.RecordingStarted, state="announcing"),
    "recording stops": _event(call_events.RecordingStopped),
    "codec changes": _event(call_events.CodecChanged),
    "folder is on disk": _event(call_events.FolderWritten),
    "folder cannot be written": _event(call_events.FolderFailed),
    "prompt starts": _prompt(call_events.PlaybackStarted),
    "prompt ends, played whole": _prompt(call_events.PlaybackEnded, complete=True),
    "prompt ends, talked over": _prompt(call_events.PlaybackEnded, complete=True, talked_over=True),
    "prompt is cut": _prompt(call_events.PlaybackEnded),
    "announcement starts on the external leg": _prompt(call_events.SoundStarted),
    "announcement ends on the external leg, heard whole": _announcement(timedelta(seconds=3)),
    "announcement ends on the external leg, talked over": _announcement(timedelta(seconds=3), True),
    "announcement is cut on the external leg": _announcement(timedelta(seconds=1)),
    "far end is reached": _event(call_events.FarEndReached),
    "far end has announced": _event(call_events.FarEndAnnounced),
    "switch reports: pickup": _event(call_events.StateReported, state="pickup"),
    "switch reports: refusable": _event(call_events.StateReported, state="refusable"),
    "switch reports: announced": _event(call_events.StateReported, state="announced"),
    "switch reports: unrecorded": _event(call_events.StateReported, state="unrecorded"),
    "external party: key 1": _event(call_events.KeyPressed, key="1"),
    "external party: key 2": _event(call_events.KeyPressed, key="2"),
    "external party: another key": _event(call_events.KeyPressed, key="#"),
    "timer expires": lambda state: call_events.DeadlinePassed(state.timer.deadline or AT),
    "external party holds": _event(call_events.HoldStarted),
    "external party's hold ends": _event(call_events.HoldEnded),
    "connected with a colleague": _event(call_events.LegBridged, other="b"),
    "disconnected": _event(call_events.LegUnbridged),
    "connected with another party": _event(call_events.LegBridged, other="c"),
    "transfer target is internal": _check(external=False),
    "transfer target is external": _check(external=True),
    "transfer notice starts": _notice(call_events.SoundStarted),
    "transfer notice ends, heard whole": _notice(call_events.SoundEnded, timedelta(seconds=3)),
    "transfer notice is cut": _notice(call_events.SoundEnded, timedelta(seconds=1)),
    "external party joins a conference": _event(
        call_events.ConferenceJoined, conference="room", participants=(call_events.Participant("r"),)
    ),
    "participant joins": _event(call_events.ParticipantsJoined, participants=(call_events.Participant("r"),)),
    "participant is internal": _event(call_events.LegChecked, other="r"),
    "participant is external": _event(call_events.LegChecked, other="r", external=True),
    "participant leaves": _event(call_events.ParticipantLeft, other="r"),
    "external party leaves the conference": _event(call_events.ConferenceLeft),
    "supervisor starts to listen": _event(
        call_events.SupervisorsJoined, supervisors=(call_events.Participant("r"),)
    ),
    "supervisor is heard": _event(call_events.SupervisorHeard, other="r", heard_by="both", lane="right"),
    "supervisor is no longer heard": _event(call_events.SupervisorHeard, other="r", heard_by="nobody"),
    "supervisor stops listening": _event(call_events.SupervisorLeft, other="r"),
    "code: keep": _event(call_events.CodeDialled, code="keep", other="b"),
    "code: pause": _event(call_events.CodeDialled, code="pause", other="b", lasts=PAUSE),
    "code: resume": _event(call_events.CodeDialled, code="resume", other="b"),
    "code: mark": _event(call_events.CodeDialled, code="mark", other="b"),
    "code: delete": _event(call_events.CodeDialled, code="delete", other="b"),
    "command: pause": _event(call_events.CommandGiven, code="pause", by="panel"),
    "command: resume": _event(call_events.CommandGiven, code="resume", by="panel"),
    "command: mark": _event(call_events.CommandGiven, code="mark", by="panel"),
    "command: delete": _event(call_events.CommandGiven, code="delete", by="panel"),
    "colleague: key 1": _event(call_events.KeyPressed, key="1", leg=call_events.INTERNAL),
    "voice is found": _event(call_events.VoiceChecked, voice=(9_000, 9_400)),
    "no voice is found": _event(call_events.VoiceChecked),
    "colleague: key 2": _event(call_events.KeyPressed, key="2", leg=call_events.INTERNAL),
    "colleague: another key": _event(call_events.KeyPressed, key="5", leg=call_events.INTERNAL),
    "colleague holds": _event(call_events.HoldStarted, leg=call_events.INTERNAL),
    "colleague's hold ends": _event(call_events.HoldEnded, leg=call_events.INTERNAL),
    "question starts on the external leg": _question(call_events.SoundStarted, call_events.EXTERNAL),
    "question starts on the colleague's leg": _question(call_events.SoundStarted, call_events.INTERNAL),
    "question ends on the external leg, heard whole": _question(call_events.SoundEnded, call_events.EXTERNAL),
    "question ends on the colleague's leg, heard whole": _question(
        call_events.SoundEnded, call_events.INTERNAL
    ),
    "question is cut on the external leg": _question(
        call_events.SoundEnded, call_events.EXTERNAL, complete=False
    ),
    "hang-up": _event(call_events.CallHungUp, hangup=True),
    "channel is gone": _event(call_events.ChannelGone, hangup=True),
    "reconnect": _event(call_events.CallReconciled, since=AT, state="announcing"),
    "reconnect: refusable": _event(call_events.CallReconciled, since=AT, state="refusable"),
    "reconnect: paused": _reconnect(paused=True, paused_at=AT, lasts=PAUSE),
    "reconnect: both sides hold": _reconnect(held_since=AT, colleague_held_since=AT),
}


PAUSES = ("code: pause", "code: resume", "command: pause", "command: resume", "reconnect: paused",
          "reconnect: both sides hold")  # fmt: skip
"""These change nothing but pauses and holds, so they are not tried on every line."""

SUPERVISORS = tuple(name for name in EVENTS if "supervisor" in name)
"""These are tried while two parties speak, on a line with a transfer notice. Nothing else is tried while a
supervisor listens: an inaudible one changes nothing, and an audible one is a participant."""

PARTICIPANTS = tuple(name for name in EVENTS if "participant" in name or "conference" in name)
"""These are tried on a line with a transfer notice only, while the call goes on as usual: nothing that
disturbs it concerns them."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides which events are tried in a state."""

    notice_mode: bool
    informs_targets: bool
    deletes: bool
    joined: bool
    recorded: bool
    usual: bool
    calm: bool
    supervised: bool

    @classmethod
    def of(cls, state: CallState) -> Situation:
        """Return the situation in a state."""
        joined = bool(state.conference.participants)
        recorded = (
            state.recording.capturing and state.socket_unused and not (state.hung_up or state.prompt.playing)
        )
        usual = recorded and not state.pause.is_active(AT)
        in_conversation = stage(state) == "ANNOUNCED" and state.internal.leg and state.transfer.informed
        alone = not (joined or state.conference.name or state.hold.active)
        calm = (
            usual and in_conversation and alone and state.timer.deadline is None and not state.recording.over
        )
        notice, delete = state.script.transfer_notice, state.script.delete
        return cls(
            state.plan.mode == NOTICE, notice is not None, delete is not None, joined, recorded, usual,
            bool(calm), bool(state.supervisors),
        )  # fmt: skip

    def tries(self, name: str) -> bool:
        """Return whether to try an event."""
        if name in SUPERVISORS:
            return self.supervised or (self.informs_targets and self.calm)
        if self.supervised and name not in ("participant is internal", "participant is external"):
            return False
        if not self.notice_mode and self.informs_targets and name in PAUSES:
            return False
        if not self.notice_mode and self.informs_targets and name in PARTICIPANTS:
            return self.recorded
        if name in PAUSES:
            return (self.deletes or self.informs_targets) and not self.joined
        return name not in PARTICIPANTS or (self.informs_targets and (self.joined or self.usual))


@cache
def tried_events(situation: Situation) -> tuple[tuple[str, Make], ...]:
    """Return the events to try in a situation, by name."""
    return tuple((name, make) for name, make in EVENTS.items() if situation.tries(name))


def stage(state: CallState) -> str:
    """Return a state's name in the table."""
    if state.phase is Phase.ASKING:
        return f"ASKING: {state.consent.question}"
    if state.phase is not Phase.ANNOUNCED:
        return state.phase.name
    if state.question.step is not QuestionStep.IDLE:
        question = "DELETE" if state.question.how == DELETE_CODE else "KEEP"
        return f"ANNOUNCED: {question} {state.question.step.name}"
    target = state.transfer.target
    if target is None:
        return "ANNOUNCED"
    if not target.sound:
        return "ANNOUNCED: TARGET CHECK"
    if not transfer_consent.asks_for_consent(state):
        return "ANNOUNCED: TRANSFER NOTICE"
    return f"ANNOUNCED: CONSENT {'ANSWER' if target.question_heard else 'QUESTION'}"


@cache
def explore(plans: tuple[CallPlan, ...] = PLANS) -> dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]]:
    """Return, for each stage and event, the next stages with their orders."""
    found: dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    pending: deque[CallState] = deque(initial.arrive(plan, AT)[0] for plan in plans)
    pending.append(initial.refuse("no_line")[0])
    pending.extend(initial.arrive(plan, AT, awaits_turn=True)[0] for plan in plans if plan.at_pickup)
    key_of = Key()
    keys = {key_of(state, stage(state)) for state in pending}
    while pending:
        state = pending.popleft()
        where = stage(state)
        for name, make in tried_events(Situation.of(state)):
            after, actions = step(state, make(state))
            if after is state and not actions:
                continue
            becomes = stage(after)
            if actions or becomes != where:
                orders = tuple(one.value for one in actions if isinstance(one, Do))
                end = ("finish",) * any(isinstance(one, Finish) for one in actions)
                found[where, name].add((becomes, orders + end))
            if (key := key_of(after, becomes)) not in keys:
                keys.add(key)
                pending.append(after)
    return found


class Key:
    """Returns the part of a state that decides what comes next, without counts, times and names.

    An ended call does nothing. What belongs to the announcement matters until it was heard, and what belongs
    to a question in the conversation until its answer, so that each is left out of the key after that; of a
    call that is not recorded, what belongs to prompts, questions, holds, pauses and notices is."""

    def __init__(self) -> None:
        self._lines: dict[tuple[object, ...], int] = {}
        self._numbers: dict[int, int] = {}
        """By the identity of a plan, which no event changes. Hashing its sentences is slow."""

    def _line(self, plan: CallPlan) -> int:
        number = self._numbers.get(id(plan))
        if number is None:
            script = plan.scripts[0]
            line = plan.mode, plan.at_pickup, plan.outbound, script.keep, script.transfer_notice
            number = self._numbers[id(plan)] = self._lines.setdefault(line, len(self._lines))
        return number

    def __call__(self, state: CallState, where: str) -> tuple[object, ...]:
        prompt, recording, transfer, question = state.prompt, state.recording, state.transfer, state.question
        target, internal = transfer.target, state.internal
        if state.phase is Phase.ENDED:
            return (where,)
        announcement: object = state.informed and recording.on_disk
        participants = tuple(
            (one.checked, one.external, one.notified, bool(names(one.leg, one.party) & transfer.informed))
            for one in state.conference.participants
        )
        if state.phase is Phase.UNRECORDED:
            return (
                self._line(state.plan), where, announcement, state.socket_unused, recording.capturing,
                state.hung_up, state.timer.deadline is None, internal.connected, bool(internal.leg),
                recording.over, bool(transfer.informed), participants,
            )  # fmt: skip
        is_audible = prompt.playing and state.script.transfer_notice is not None
        if state.phase < Phase.ANNOUNCED:
            announcement = (
                prompt.spoiled, state.informed, recording.on_disk, state.consent.wrong_keys > 0,
                prompt.talked_over, prompt.sound == SILENCE, state.awaits_turn,
            )  # fmt: skip
            is_audible = prompt.playing
        legs = state.phase is Phase.ANNOUNCED and (question.started_on, question.ended_on)
        again = legs and question.again and question.step is not QuestionStep.VERDICT
        return (
            self._line(state.plan), where, announcement, is_audible, state.socket_unused, state.hold.active,
            recording.capturing, state.hung_up, state.timer.deadline is None, internal.connected,
            bool(internal.leg), legs, question.how, again,
            state.pause.is_active(AT), recording.over, bool(transfer.informed),
            bool(transfer.informed & names(internal.leg, internal.party)),
            target and (target.started_at is not None, target.question_heard, target.wrong, target.cut,
                        target.due, is_beside(state, target.leg)),
            bool(state.conference.name), participants, tuple(one.lane for one in state.supervisors),
        )  # fmt: skip


ORDER = (
    "ASKING: language", "ASKING: recording", "RINGING", "ANNOUNCING", "CHOOSING", "ANNOUNCED",
    "ANNOUNCED: KEEP QUESTION", "ANNOUNCED: KEEP ANSWER", "ANNOUNCED: KEEP CHECK", "ANNOUNCED: KEEP VERDICT",
    "ANNOUNCED: DELETE QUESTION", "ANNOUNCED: DELETE ANSWER", "ANNOUNCED: TARGET CHECK",
    "ANNOUNCED: TRANSFER NOTICE", "ANNOUNCED: CONSENT QUESTION", "ANNOUNCED: CONSENT ANSWER", "UNRECORDED",
    "ENDED",
)  # fmt: skip


def table() -> str:
    """Return the table in Markdown."""
    found = explore()
    assert {where for where, _ in found} <= set(ORDER)
    lines = ["| State | Event | Next state (orders) |", "|---|---|---|"]
    for where in ORDER:
        for name in EVENTS:
            if outcomes := found.get((where, name)):
                lines.append(f"| {where} | {name} | {'; or '.join(describe(where, outcomes))} |")
    return "\n".join(lines) + "\n"


def parse_table(table: str) -> dict[tuple[str, str], set[str]]:
    """Return, for each stage and event of a written table, the next stages with their orders."""
    rows = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in table.splitlines()[2:]]
    return {(where, name): set(outcome.split("; or ")) for where, name, outcome in rows}


def describe(where: str, outcomes: set[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    for becomes, orders in sorted(outcomes, key=lambda one: (ORDER.index(one[0]), one[1])):
        what = "stays" if becomes == where else becomes
        yield f"{what} ({', '.join(orders)})" if orders else what


def main() -> None:
    PAGE.write_text(HEADER + table(), "utf-8")


if __name__ == "__main__":
    main()
