"""Checks that the loaded dialplan keeps the two rules on outbound calls, too: no announcement, no
recording; no call waits for the daemon. It walks the dialplan, as :mod:`recorder.switch.dialplan_lint`
does for inbound calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recorder.switch.commands import CALLEE
from recorder.switch.dialplan_lint import (GUARD, LONGEST_WAIT, UNANNOUNCED_STATES, Fault, buffer_faults)
from recorder.switch.dialplan_model import (Action, Entry, LoadedDialplan)

EXTENSIONS: Final = (
    "accord_consult",
    "accord_dial",
    "accord_callee",
    "accord_ask",
    "accord_listen",
    "accord_begin",
    "accord_again",
    "accord_announced",
    "accord_pickup",
    "accord_pass",
    "accord_fail",
    "accord_decline",
)
"""The extensions for a callee's leg, by the names that they are called by."""

RUNS_ACCORD: Final = f"group_confirm_file=execute_extension accord_callee XML {CALLEE}"

_EXPORTS: Final = {
    "accord_state=calling": "callees are not told",
    "accord_direction=outbound": "callees are taken for callers",
    "accord_line=": "nobody knows whose call it is",
    "accord_callee=": "nobody knows who was called",
    "group_confirm_early_ok=false": "they are connected before they have answered, and not told",
}
"""The variables that the way out exports to each leg, and what happens without them."""

_EMERGENCY: Final = ("112", "911", "999", "000")

_CALLEE_FILE = "put freeswitch_conf/dialplan/accord_callee.xml of this version in place, then `reloadxml`"
_WAY_FILE = "put freeswitch_conf/dialplan/outbound/10_accord.xml of this version in place, then `reloadxml`"


@dataclass(frozen=True, slots=True)
class CalleeSetup:
    """An extension that sets up each callee's leg."""

    context: str
    extension: str
    actions: tuple[Action, ...]
    on: bool


def callee_setups(loaded: LoadedDialplan) -> Iterator[CalleeSetup]:
    """Return every way out, in any context."""
    for context, name, actions, on in loaded.extensions():
        if any(each.data == RUNS_ACCORD for each in actions):
            yield CalleeSetup(context, name, actions, on)


def missing_extensions(loaded: LoadedDialplan) -> tuple[str, ...]:
    """Return the names of missing extensions."""
    return tuple(name for name in EXTENSIONS if not loaded.has(CALLEE, name))


def setup_faults(way: CalleeSetup, loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of a way out."""
    place = f"extension {way.extension!r} of context {way.context!r}"
    exported = [each.data.removeprefix("nolocal:") for each in way.actions if each.application == "export"]
    for wanted, otherwise in _EXPORTS.items():
        if not any(each.startswith(wanted) for each in exported):
            yield Fault(f"{place} does not export {wanted.rstrip('=')}: {otherwise}", _WAY_FILE)
    dials = any(
        each.data.startswith("execute_on_pre_originate")
        and each.data.endswith(f"=execute_extension accord_dial XML {CALLEE}")
        for each in way.actions
    )
    if not dials or not any(each.sets("group_confirm_cancel_timeout", "true") for each in way.actions):
        yield Fault(f"{place} leaves call_timeout on: it ends calls in their announcement", _WAY_FILE)
    if not way.on:
        yield Fault(f'{place} has no continue="true": calls end there', _WAY_FILE)
    line = {"accord_line": "+3225550100"}
    if all(_brings(loaded, way.context, number, line) for number in _EMERGENCY):
        yield Fault(f"{place} acts on calls to emergency numbers: their callees would be told", _WAY_FILE)
    if _brings(loaded, way.context, "+3225550101", line | {"accord_state": "announced"}):
        yield Fault(f"{place} acts on calls that Accord has in hand: they are told twice", _WAY_FILE)
    if _brings(loaded, way.context, "+3225550101", {}):
        yield Fault(f"{place} acts on calls of which nothing says from which line they are", _WAY_FILE)


def _brings(loaded: LoadedDialplan, context: str, number: str, variables: dict[str, str]) -> bool:
    return any(each.data == RUNS_ACCORD for each in loaded.walk(context, number, variables))


def callee_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults on a callee's leg, with the daemon there, late, or dead."""
    entry = callee_entry(loaded)
    if entry is None:
        yield Fault("accord_callee brings nobody to the daemon: no outbound call is recorded", _CALLEE_FILE)
    else:
        yield from _entry_faults(entry)
    for state in ("calling", "pickup", "announcing", "announced", "declined", "unrecorded", "late", ""):
        for name in ("accord_begin", "accord_ask"):
            if _run(loaded, name, state):
                yield _fault(f"{name} acts in state {state or 'none'!r}: a late daemon takes a bridged call")
    for state in ("answered", "pickup", "announced", *(each for each in UNANNOUNCED_STATES if each != "announcing")):
        if _run(loaded, "accord_announced", state):
            yield _fault(
                f"accord_announced acts in state {state or 'none'!r}: it must only confirm an announcement"
            )
    yield from _begin_faults(loaded)
    yield from buffer_faults(loaded, CALLEE, _CALLEE_FILE)
    asked = _run(loaded, "accord_ask", "answered")
    if any(each.application == "record_session" for each in asked):
        yield _fault("accord_ask records before anybody has agreed")
    for name, state in (
        ("accord_ask", "answered"),
        ("accord_begin", "answered"),
        ("accord_again", "announcing"),
    ):
        run = _run(loaded, name, state)
        if any(each.application == "sched_transfer" for each in run):
            yield _fault(f"{name} has the switch transfer the callee: the call ends")
        if not any(_makes_late(each) for each in run):
            yield _fault(f"{name} sets no bound: what a daemon that hung orders later is carried out")
        if state == "answered" and not any(each.sets("playback_terminators", "none") for each in run):
            yield _fault(f"{name} leaves playback_terminators: a key pressed (*) ends what is said")
    for state in ("asking", "announcing"):
        stopped = Action("stop_record_session", "${accord_recorded}")
        if stopped not in _run(loaded, "accord_decline", state):
            yield _fault(f"accord_decline does not end the recording in state {state!r}")


def _begin_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    begun = _run(loaded, "accord_begin", "answered")
    order = [each.application for each in begun]
    if "playback" not in order or "record_session" not in order[: order.index("playback")]:
        yield _fault("accord_begin does not record before it plays the announcement: it is not in the sound")
    elif not any("RECORD_STEREO=true" in each.data for each in begun):
        yield _fault("accord_begin does not record in two channels: who said what is lost")


def callee_entry(loaded: LoadedDialplan) -> Entry | None:
    """Return the entry that passes a callee's leg to the daemon."""
    return next((each for each in loaded.entries(CALLEE) if each.extension == "accord_callee"), None)


def _entry_faults(entry: Entry) -> Iterator[Fault]:
    words = entry.socket.split()
    if "async" in words or "full" not in words:
        yield _fault(
            "accord_callee has a socket that is not `full` alone: a daemon that dies can leave callees"
        )
    if any(each.data.startswith("socket_resume=") for each in entry.before):
        yield _fault("accord_callee sets socket_resume: both ends are hung up when the socket closes")
    if not entry.after or entry.after[0] != Action("execute_extension", GUARD):
        yield _fault(
            "accord_callee has no guard after its socket: a recording goes on that nobody was told of"
        )
    if not any(each.sets("accord_state", "answered") for each in entry.before):
        yield _fault("accord_callee does not set accord_state=answered: the daemon takes no call from it")
    if not any(_makes_late(each) for each in entry.before):
        yield _fault(
            "accord_callee sets no bound: a daemon that hung begins when they are connected long since"
        )


def wait_limit(entry: Entry) -> int | None:
    """Return the seconds after which the daemon may not begin any more; ``None`` where it always may."""
    for each in entry.before:
        if _makes_late(each):
            when = each.data.partition("sched_api(")[2].partition(" ")[0]
            if when[:1] == "+" and when[1:].isdecimal() and 1 <= int(when[1:]) <= LONGEST_WAIT:
                return int(when[1:])
    return None


def _makes_late(action: Action) -> bool:
    return "sched_api(+" in action.data and action.data.endswith(" accord_state late)}")


def _run(loaded: LoadedDialplan, extension: str, state: str) -> tuple[Action, ...]:
    return loaded.walk(CALLEE, extension, {"accord_state": state})


def _fault(what: str) -> Fault:
    return Fault(what, _CALLEE_FILE)
