"""Generates docs/states.md, the table of every state and event of a call.

    python -m tests.unit.call.states     writes it

From a call's arrival on, every state that can be reached is given every event. The next state and the actions
are collected by stage.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from recorder.call import initial, transfer_consent
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Finish, Phase, QuestionStep, WriteMark  # fmt: skip
from recorder.call.transfer_target import is_beside, names
from recorder.domain.call_events import DELETE as DELETE_CODE
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodecChanged,
    CodeDialled,
    CommandGiven,
    ConferenceJoined,
    ConferenceLeft,
    DeadlinePassed,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegChecked,
    LegUnbridged,
    Participant,
    ParticipantLeft,
    ParticipantsJoined,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
    SupervisorHeard,
    SupervisorLeft,
    SupervisorsJoined,
    VoiceChecked,
)
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

PAGE = Path(__file__).parents[3] / "docs" / "states.md"
HEADER = """# Call states

Every state of a call that can be reached, and every event that changes it or has the daemon do something, as
`python -m tests.unit.call.states` finds them by trying each event of `recorder/domain/call_events.py` in each
state. The actions are those of `Do` in `recorder/call/state.py`. An event that is not listed for a state
changes nothing there; *stays* without an action means that a mark is written, or a fact remembered.

"""

AT = datetime(2026, 11, 25, tzinfo=UTC)
PAUSE = timedelta(minutes=2)


def speech(name: str) -> Speech:
    return Speech(name, timedelta(seconds=3))


KEEP = KeepScript(speech("keep?"), speech("cue"), speech("yes"), speech("no"), speech("none"))
DELETE = DeleteScript(speech("delete?"), speech("deleted"))
SCRIPT = Script(speech("told"), speech("question"), speech("declined"), KEEP)
JOINING = TransferNoticeScript(speech("joining"))
ASKING = TransferNoticeScript(speech("joining"), refused=speech("refused"))
NO_KEEP = replace(SCRIPT, keep=None)
PLANS = (
    CallPlan(NOTICE, (replace(NO_KEEP, transfer_notice=JOINING),)),
    CallPlan(NOTICE, (replace(SCRIPT, delete=DELETE),)),
    CallPlan(NOTICE, (replace(SCRIPT, keep=replace(KEEP, question=None, destroy=True)),)),
    CallPlan(NOTICE, (SCRIPT,), at_pickup=True),
    CallPlan(OPT_OUT, (NO_KEEP,)),
    CallPlan(OPT_IN, (NO_KEEP, NO_KEEP), speech("menu")),
    CallPlan(OPT_OUT, (NO_KEEP,), outbound=True),
    CallPlan(OPT_IN, (NO_KEEP, NO_KEEP), speech("menu"), outbound=True),
    CallPlan(OPT_IN, (replace(NO_KEEP, transfer_notice=ASKING),)),
    CallPlan(OPT_OUT, (replace(NO_KEEP, transfer_notice=ASKING),)),
)
"""Each thing that a line can do is in one of them: what does not touch each other is not tried together."""

SOME = (PLANS[3], PLANS[5], PLANS[6])
"""Tried in seconds: every stage but those of who joins and of deleting is among them."""

Make = Callable[[CallState], CallEvent]


def _said(what: type[CallEvent], **more: object) -> Make:
    return lambda state: what(AT, sound=state.prompt.sound.path, **more)  # type: ignore[arg-type]


def _told(took: timedelta) -> Make:
    return lambda state: SoundEnded(AT + took, sound=state.prompt.sound.path, complete=True)


def _plain(what: type[CallEvent], **more: object) -> Make:
    return lambda _state: what(AT, **more)  # type: ignore[arg-type]


def _kept(what: type[CallEvent], leg: str, complete: bool = True) -> Make:
    more = {"complete": complete} if what is SoundEnded else {}
    return lambda state: what(AT, leg=leg, sound=state.question.sound, **more)


def _transfer_notice(what: type[CallEvent], took: timedelta = timedelta(0)) -> Make:
    sound = JOINING.sound.path
    more = {"complete": True} if what is SoundEnded else {}
    return lambda _state: what(AT + took, leg=INTERNAL, sound=sound, **more)


def _looked(external: bool) -> Make:
    return lambda state: LegChecked(AT, other=state.internal.leg, external=external)


def _seen(**more: object) -> Make:
    """A daemon is back with a call that goes on as it did, but for this."""
    return lambda state: CallReconciled(
        AT, since=AT, state="announced", capturing=True, other=state.internal.leg, **more
    )  # type: ignore[arg-type]


EVENTS: dict[str, Make] = {
    "the recording begins": _plain(RecordingStarted, state="announcing"),
    "the recording ends": _plain(RecordingStopped),
    "the codec changes": _plain(CodecChanged),
    "the folder is on disk": _plain(FolderWritten),
    "the folder cannot be written": _plain(FolderFailed),
    "what is said begins": _said(PlaybackStarted),
    "what is said was played whole": _said(PlaybackEnded, complete=True),
    "what is said was cut": _said(PlaybackEnded),
    "both are told": _said(SoundStarted),
    "the external party was told whole": _told(timedelta(seconds=3)),
    "the external party was told a part": _told(timedelta(seconds=1)),
    "the switch: it may ring": _plain(StateReported, state="pickup"),
    "the switch: announced": _plain(StateReported, state="announced"),
    "the switch: unrecorded": _plain(StateReported, state="unrecorded"),
    "key 1": _plain(KeyPressed, key="1"),
    "key 2": _plain(KeyPressed, key="2"),
    "another key": _plain(KeyPressed, key="#"),
    "the time is over": lambda state: DeadlinePassed(state.timer.deadline or AT),
    "a hold": _plain(HoldStarted),
    "the end of a hold": _plain(HoldEnded),
    "they are connected": _plain(LegBridged, other="b"),
    "they are parted": _plain(LegUnbridged),
    "somebody else comes": _plain(LegBridged, other="c"),
    "who came is a colleague": _looked(external=False),
    "who came is outside": _looked(external=True),
    "who came begins to hear it": _transfer_notice(SoundStarted),
    "who came heard it whole": _transfer_notice(SoundEnded, timedelta(seconds=3)),
    "who came heard a part of it": _transfer_notice(SoundEnded, timedelta(seconds=1)),
    "it is in a conference with another": _plain(
        ConferenceJoined, conference="room", participants=(Participant("r"),)
    ),
    "a third one comes": _plain(ParticipantsJoined, participants=(Participant("r"),)),
    "the third one is a colleague": _plain(LegChecked, other="r"),
    "the third one is outside": _plain(LegChecked, other="r", external=True),
    "the third one goes": _plain(ParticipantLeft, other="r"),
    "the conference is left": _plain(ConferenceLeft),
    "somebody listens": _plain(SupervisorsJoined, supervisors=(Participant("r"),)),
    "who listens speaks": _plain(SupervisorHeard, other="r", heard_by="both", lane="right"),
    "who listens is silent": _plain(SupervisorHeard, other="r", heard_by="nobody"),
    "who listens goes": _plain(SupervisorLeft, other="r"),
    "the code to ask": _plain(CodeDialled, code="keep", other="b"),
    "the code to pause": _plain(CodeDialled, code="pause", other="b", lasts=PAUSE),
    "the code to go on": _plain(CodeDialled, code="resume", other="b"),
    "the code to note": _plain(CodeDialled, code="note", other="b"),
    "the code to delete": _plain(CodeDialled, code="delete", other="b"),
    "asked from outside: to pause": _plain(CommandGiven, code="pause", by="panel"),
    "asked from outside: to go on": _plain(CommandGiven, code="resume", by="panel"),
    "asked from outside: to note": _plain(CommandGiven, code="note", by="panel"),
    "asked from outside: to delete": _plain(CommandGiven, code="delete", by="panel"),
    "the colleague: key 1": _plain(KeyPressed, key="1", leg=INTERNAL),
    "the external party was heard": _plain(VoiceChecked, voice=(9_000, 9_400)),
    "nobody was heard": _plain(VoiceChecked),
    "the colleague: key 2": _plain(KeyPressed, key="2", leg=INTERNAL),
    "the colleague: another key": _plain(KeyPressed, key="5", leg=INTERNAL),
    "the colleague: a hold": _plain(HoldStarted, leg=INTERNAL),
    "the colleague: the end of a hold": _plain(HoldEnded, leg=INTERNAL),
    "the question begins for one": _kept(SoundStarted, EXTERNAL),
    "the question begins for the other": _kept(SoundStarted, INTERNAL),
    "one heard it whole": _kept(SoundEnded, EXTERNAL),
    "the other heard it whole": _kept(SoundEnded, INTERNAL),
    "one heard a part of it": _kept(SoundEnded, EXTERNAL, complete=False),
    "hang-up": _plain(CallHungUp, ending=True),
    "the channel is gone": _plain(ChannelGone, ending=True),
    "nobody watched": _plain(CallReconciled, since=AT, state="announcing"),
    "nobody watched, and it is paused": _seen(paused=True, paused_at=AT, lasts=PAUSE),
    "nobody watched, and both hold": _seen(held_since=AT, colleague_held_since=AT),
}


PAUSES = (
    "the code to pause", "the code to go on", "asked from outside: to pause", "asked from outside: to go on",
    "nobody watched, and it is paused", "nobody watched, and both hold",
)  # fmt: skip
"""They change nothing but what is paused or held; so they are not tried on every line."""

LISTENERS = tuple(name for name in EVENTS if "listens" in name)
"""Nor these, and nothing else is while somebody listens: who is not heard changes nothing, who is, is a third
one."""

ROOMS = tuple(name for name in EVENTS if "third" in name or "conference" in name)
"""Nor these, but on a line that tells who joins, and of a call that goes on as it should: what else may be
amiss with it changes nothing of them."""


def _tried(name: str, state: CallState) -> bool:
    if name in LISTENERS:
        calm = (
            state.recording.capturing
            and state.leaving
            and not (state.hung_up or state.prompt.playing or state.pause)
        )
        alone = not (
            state.conference.participants
            or state.conference.name
            or state.transfer.target
            or state.hold.active
        )
        return bool(state.supervisors) or bool(calm and alone and state.script.transfer_notice)
    if state.supervisors and name not in ("the third one is a colleague", "the third one is outside"):
        return False
    if state.plan.mode != NOTICE and state.script.transfer_notice and (name in PAUSES or name in ROOMS):
        return (
            name in ROOMS
            and state.recording.capturing
            and state.leaving
            and not (state.hung_up or state.prompt.playing)
        )
    if name in PAUSES:
        return bool(state.script.delete or state.script.transfer_notice) and not state.conference.participants
    if name not in ROOMS:
        return True
    amiss = (
        state.pause.is_active(AT)
        or state.hung_up
        or state.prompt.playing
        or not (state.recording.capturing and state.leaving)
    )
    return bool(state.script.transfer_notice) and (bool(state.conference.participants) or not amiss)


def stage(state: CallState) -> str:
    """A state's name in the table."""
    if state.phase is Phase.ASKING:
        return f"ASKING: {state.consent.question}"
    if state.phase is Phase.ANNOUNCED and state.question.step is not QuestionStep.IDLE:
        return f"ANNOUNCED: {'DELETE? ' * (state.question.how == DELETE_CODE)}{state.question.step.name}"
    if state.phase is Phase.ANNOUNCED and state.transfer.target is not None and transfer_consent.asks(state):
        playing = "ASKED" if state.transfer.target.sound else "JOINED"
        return f"ANNOUNCED: {'MAY ANSWER' if state.transfer.target.heard else playing}"
    if state.phase is Phase.ANNOUNCED and state.transfer.target is not None:
        return "ANNOUNCED: TELLING" if state.transfer.target.sound else "ANNOUNCED: JOINED"
    return state.phase.name


@cache
def explored(plans: tuple[CallPlan, ...] = PLANS) -> dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]]:
    """For each stage and event: what it can become, with the orders."""
    found: dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    waiting: deque[CallState] = deque(initial.arrive(plan, AT)[0] for plan in plans)
    waiting.append(initial.refuse("no_line")[0])
    seen = {alike(state) for state in waiting}
    while waiting:
        state = waiting.popleft()
        for name, make in EVENTS.items():
            if not _tried(name, state):
                continue
            after, actions = step(state, make(state))
            orders = tuple(one.value for one in actions if isinstance(one, Do))
            ended = tuple("finish" for one in actions if isinstance(one, Finish))
            noted = any(isinstance(one, WriteMark) for one in actions)
            if stage(after) != stage(state) or orders or ended or noted:
                found[stage(state), name].add((stage(after), orders + ended))
            if alike(after) not in seen:
                seen.add(alike(after))
                waiting.append(after)
    return found


def alike(state: CallState) -> tuple[object, ...]:
    """What makes a difference to what comes next, without what only counts, measures or names."""
    prompt, recording, transfer, question = state.prompt, state.recording, state.transfer, state.question
    target, internal = transfer.target, state.internal
    return (
        state.plan.mode, state.plan.at_pickup, state.plan.outbound, state.plan.scripts[0].keep,
        state.plan.scripts[0].transfer_notice, stage(state),
        prompt.playing, prompt.spoiled, state.informed, recording.on_disk, state.leaving, state.hold.active,
        recording.capturing, state.hung_up, state.consent.wrong_keys > 0, state.timer.deadline is None,
        internal.connected, bool(internal.leg), question.began, question.heard, question.how, question.again,
        state.pause.is_active(AT), recording.over, bool(transfer.informed),
        bool(transfer.informed & names(internal.leg, internal.party)),
        target is not None and target.began is not None,
        target and (target.heard, target.wrong, target.cut, target.due),
        target is not None and is_beside(state, target.leg), bool(state.conference.name),
        tuple((one.asked, one.external, one.tried, bool(names(one.leg, one.party) & transfer.informed))
              for one in state.conference.participants),
        tuple(one.lane for one in state.supervisors),
    )  # fmt: skip


ORDER = (
    "ASKING: language", "ASKING: recording", "RINGING", "ANNOUNCING", "CHOOSING", "ANNOUNCED",
    "ANNOUNCED: QUESTION", "ANNOUNCED: ANSWER", "ANNOUNCED: CHECK", "ANNOUNCED: VERDICT",
    "ANNOUNCED: DELETE? QUESTION",
    "ANNOUNCED: DELETE? ANSWER", "ANNOUNCED: JOINED", "ANNOUNCED: TELLING", "ANNOUNCED: ASKED",
    "ANNOUNCED: MAY ANSWER", "UNRECORDED", "ENDED",
)  # fmt: skip


def table() -> str:
    """Markdown."""
    found = explored()
    assert {where for where, _ in found} <= set(ORDER)
    lines = ["| While | What happens | It becomes, and what is ordered |", "|---|---|---|"]
    for where in ORDER:
        for name in EVENTS:
            if outcomes := found.get((where, name)):
                lines.append(f"| {where} | {name} | {'; or '.join(said_of(where, outcomes))} |")
    return "\n".join(lines) + "\n"


def outcomes_in(written: str) -> dict[tuple[str, str], set[str]]:
    """For each stage and event of a table that was written: what it can become, with the orders."""
    rows = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in written.splitlines()[2:]]
    return {(where, name): set(said.split("; or ")) for where, name, said in rows}


def said_of(where: str, outcomes: set[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    for becomes, orders in sorted(outcomes, key=lambda one: (ORDER.index(one[0]), one[1])):
        what = "stays" if becomes == where else becomes
        yield f"{what} ({', '.join(orders)})" if orders else what


def main() -> None:
    PAGE.write_text(HEADER + table(), "utf-8")


if __name__ == "__main__":
    main()
