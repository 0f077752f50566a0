"""Checks that the loaded dialplan enforces the two rules on outbound calls: no announcement, no recording; no
call waits for the daemon. :mod:`recorder.switch.dialplan_lint` does the same for inbound calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recorder.switch.commands import CALLEE
from recorder.switch.dialplan_lint import GUARD, LONGEST_WAIT, UNANNOUNCED_STATES, Fault, buffer_faults
from recorder.switch.dialplan_model import Action, Entry, LoadedDialplan

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
"""The extensions for a callee's leg."""

RUNS_ACCORD: Final = f"group_confirm_file=execute_extension accord_callee XML {CALLEE}"

_EXPORTS: Final = {
    "accord_state=calling": "callees hear no announcement",
    "accord_direction=outbound": "callees are treated as callers",
    "accord_line=": "the line of the call is not known",
    "accord_callee=": "the callee is not known",
    "group_confirm_early_ok=false": "callees are connected before they have answered, unannounced",
}
"""The variables that an outbound extension exports to each leg, and the consequence of a missing one."""

_EMERGENCY: Final = ("112", "911", "999", "000")

_CALLEE_FILE = "put freeswitch_conf/dialplan/accord_callee.xml of this version in place, then `reloadxml`"
_SETUP_FILE = "put freeswitch_conf/dialplan/outbound/10_accord.xml of this version in place, then `reloadxml`"


@dataclass(frozen=True, slots=True)
class CalleeSetup:
    """An extension that prepares callees' legs for Accord."""

    context: str
    extension: str
    actions: tuple[Action, ...]
    on: bool


def callee_setups(loaded: LoadedDialplan) -> Iterator[CalleeSetup]:
    """Return every extension, in any context, that prepares callees' legs for Accord."""
    for context, name, actions, on in loaded.extensions():
        if any(each.data == RUNS_ACCORD for each in actions):
            yield CalleeSetup(context, name, actions, on)


def missing_extensions(loaded: LoadedDialplan) -> tuple[str, ...]:
    """Return the names of missing extensions."""
    return tuple(name for name in EXTENSIONS if not loaded.has(CALLEE, name))


def setup_faults(setup: CalleeSetup, loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of an extension that prepares callees' legs."""
    place = f"extension {setup.extension!r} of context {setup.context!r}"
    exported = [each.data.removeprefix("nolocal:") for each in setup.actions if each.application == "export"]
    for variable, consequence in _EXPORTS.items():
        if not any(each.startswith(variable) for each in exported):
            yield Fault(f"{place} does not export {variable.rstrip('=')}: {consequence}", _SETUP_FILE)
    dials = any(
        each.data.startswith("execute_on_pre_originate")
        and each.data.endswith(f"=execute_extension accord_dial XML {CALLEE}")
        for each in setup.actions
    )
    if not dials or not any(each.sets("group_confirm_cancel_timeout", "true") for each in setup.actions):
        yield Fault(f"{place} leaves call_timeout on: it ends calls during their announcement", _SETUP_FILE)
    if not setup.on:
        yield Fault(f'{place} has no continue="true": calls end there', _SETUP_FILE)
    line = {"accord_line": "+3225550100"}
    if all(_runs_accord(loaded, setup.context, number, line) for number in _EMERGENCY):
        yield Fault(
            f"{place} acts on calls to emergency numbers: their callees would hear the announcement",
            _SETUP_FILE,
        )
    if _runs_accord(loaded, setup.context, "+3225550101", line | {"accord_state": "announced"}):
        yield Fault(
            f"{place} acts on calls that Accord already handles: they are announced twice", _SETUP_FILE
        )
    if _runs_accord(loaded, setup.context, "+3225550101", {}):
        yield Fault(f"{place} acts on calls without a line (accord_line)", _SETUP_FILE)


def _runs_accord(loaded: LoadedDialplan, context: str, number: str, variables: dict[str, str]) -> bool:
    return any(each.data == RUNS_ACCORD for each in loaded.walk(context, number, variables))


def callee_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of the extensions for a callee's leg, with the daemon running, late or dead."""
    entry = callee_entry(loaded)
    if entry is None:
        yield Fault("accord_callee passes no call to the daemon: no outbound call is recorded", _CALLEE_FILE)
    else:
        yield from _entry_faults(entry)
    for state in ("calling", "pickup", "announcing", "announced", "declined", "unrecorded", "late", ""):
        for name in ("accord_begin", "accord_ask"):
            if _run(loaded, name, state):
                yield _fault(
                    f"{name} acts in state {state or 'none'!r}: a late daemon interrupts a bridged call"
                )
    unannounced = (each for each in UNANNOUNCED_STATES if each != "announcing")
    for state in ("answered", "pickup", "announced", *unannounced):
        if _run(loaded, "accord_announced", state):
            yield _fault(
                f"accord_announced acts in state {state or 'none'!r}: it must only confirm an announcement"
            )
    yield from _begin_faults(loaded)
    yield from buffer_faults(loaded, CALLEE, _CALLEE_FILE)
    question = _run(loaded, "accord_ask", "answered")
    if any(each.application == "record_session" for each in question):
        yield _fault("accord_ask records before anybody has agreed")
    for name, state in (
        ("accord_ask", "answered"),
        ("accord_begin", "answered"),
        ("accord_again", "announcing"),
    ):
        run = _run(loaded, name, state)
        if any(each.application == "sched_transfer" for each in run):
            yield _fault(f"{name} has the switch transfer the callee: the call ends")
        if not any(_marks_late(each) for each in run):
            yield _fault(f"{name} sets no bound: late commands of a daemon that hung are carried out")
        if state == "answered" and not any(each.sets("playback_terminators", "none") for each in run):
            yield _fault(f"{name} leaves playback_terminators: a key (*) ends the sound")
    for state in ("asking", "announcing"):
        stopped = Action("stop_record_session", "${accord_recorded}")
        if stopped not in _run(loaded, "accord_decline", state):
            yield _fault(f"accord_decline does not end the recording in state {state!r}")


def _begin_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    actions = _run(loaded, "accord_begin", "answered")
    order = [each.application for each in actions]
    if "playback" not in order or "record_session" not in order[: order.index("playback")]:
        yield _fault("accord_begin does not record before it plays the announcement: the recording lacks it")
    elif not any("RECORD_STEREO=true" in each.data for each in actions):
        yield _fault("accord_begin does not record in two channels: the voices cannot be told apart")


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
        yield _fault("accord_callee has no guard after its socket: an unannounced recording continues")
    if not any(each.sets("accord_state", "answered") for each in entry.before):
        yield _fault("accord_callee does not set accord_state=answered: the daemon accepts no call from it")
    if not any(_marks_late(each) for each in entry.before):
        yield _fault("accord_callee sets no bound: a daemon that hung interrupts a bridged call")


def wait_limit(entry: Entry) -> int | None:
    """Return the seconds after which the daemon may no longer begin; ``None`` if it always may."""
    for each in entry.before:
        if _marks_late(each):
            when = each.data.partition("sched_api(")[2].partition(" ")[0]
            if when[:1] == "+" and when[1:].isdecimal() and 1 <= int(when[1:]) <= LONGEST_WAIT:
                return int(when[1:])
    return None


def _marks_late(action: Action) -> bool:
    return "sched_api(+" in action.data and action.data.endswith(" accord_state late)}")


def _run(loaded: LoadedDialplan, extension: str, state: str) -> tuple[Action, ...]:
    return loaded.walk(CALLEE, extension, {"accord_state": state})


def _fault(what: str) -> Fault:
    return Fault(what, _CALLEE_FILE)
