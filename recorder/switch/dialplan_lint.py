"""Checks that the loaded dialplan enforces two rules by itself: no announcement, no recording; no call waits
for the daemon. It evaluates the dialplan here (:mod:`recorder.switch.dialplan_model`), so a switch that
carries calls is not affected.

A test call through the guard would prove no more. It would run the operator's own routing, be billed and
counted, and need a module (``mod_loopback``) that few switches have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from recorder.switch.commands import CALLEE, CONTEXT
from recorder.switch.dialplan_model import Action, Entry, LoadedDialplan

EXTENSIONS: Final = (
    "accord_ask",
    "accord_begin",
    "accord_reopen",
    "accord_again",
    "accord_refusable",
    "accord_announced",
    "accord_pickup",
    "accord_pass",
    "accord_decline",
    "accord_fail",
    "accord_media",
    "accord_aside",
    "accord_beside",
    "accord_timeout",
    "accord_after_announced",
    "accord_after_any",
)
"""Extensions without which a call could be recorded unannounced, wait indefinitely or be cut off."""

UNANNOUNCED_STATES: Final = ("asking", "announcing", "declined", "failed", "late", "unrecorded", "")
"""States in which a recording may have started and the announcement has not been played to its end."""

_MEDIA_BYPASS: Final = re.compile(r"bypass_media_after_bridge=(?!false|no\b|off|0)")
_RECORDS: Final = re.compile(r"(?<!\w)(?:record_session(?!\w)|uuid_record\W+\S+\s+start)")
GUARD: Final = "accord_after_${accord_state} XML accord"
LONGEST_WAIT: Final = 10
"""Maximum number of seconds that a hanging daemon may delay a call."""

_FILES = "put freeswitch_conf/dialplan/accord.xml of this version in place, then `reloadxml`"
_ENTRY = "put freeswitch_conf/dialplan/public/00_accord.xml of this version in place, then `reloadxml`"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the dialplan. ``hint`` says what to do; ``grave``: one of the two rules is broken."""

    what: str
    hint: str = _FILES
    grave: bool = True


def other_recordings(loaded: LoadedDialplan) -> Iterator[tuple[str, str]]:
    """Return context and name of each extension that records calls by itself, or binds a key that does."""
    for context, name, actions, _on in loaded.extensions():
        if context not in (CONTEXT, CALLEE) and any(_records(action) for action in actions):
            yield context, name


def _records(action: Action) -> bool:
    return action.application == "record_session" or _RECORDS.search(action.data) is not None


def missing_extensions(loaded: LoadedDialplan) -> tuple[str, ...]:
    """Return the names of missing extensions."""
    return tuple(name for name in EXTENSIONS if not loaded.has(CONTEXT, name))


def entry_faults(entry: Entry) -> Iterator[Fault]:
    """Return the faults of the entry: the extension that hands a call to the daemon."""
    place = f"extension {entry.extension!r} of context {entry.context!r}"
    if not entry.after or entry.after[0] != Action("execute_extension", GUARD):
        yield Fault(f"{place} has no guard after its socket: an unannounced recording continues", _ENTRY)
    if not any(each.sets("accord_state", "waiting") for each in entry.before):
        yield Fault(f"{place} does not set accord_state=waiting: the daemon accepts no call from it", _ENTRY)
    if not any(each.sets("socket_resume", "true") for each in entry.before):
        yield Fault(f"{place} does not set socket_resume: calls end when the daemon ends", _ENTRY)
    if not entry.on:
        yield Fault(f'{place} has no continue="true": calls end there', _ENTRY)
    if "async" not in entry.socket.split() or "full" not in entry.socket.split():
        yield Fault(
            f"{place} has a socket that is not `async full`: calls wait indefinitely for a daemon that hangs",
            _ENTRY,
        )
    wait = wait_limit(entry)
    if wait is None:
        yield Fault(
            f"{place} has no bound before its socket: calls wait indefinitely for a daemon that hangs", _ENTRY
        )
    elif not 1 <= wait <= LONGEST_WAIT:
        yield Fault(
            f"{place} lets a call wait {wait} s for a daemon that hangs",
            "set accord_wait in accord/vars.xml to 3, then `reloadxml`",
            grave=wait < 1,
        )


def wait_limit(entry: Entry) -> int | None:
    """Return the seconds that a call waits for the daemon to begin; ``None`` if nothing ends the wait."""
    for each in entry.before:
        when, _, target = each.data.partition(" ")
        if each.application == "sched_transfer" and target == f"accord_timeout XML {CONTEXT}":
            return int(when[1:]) if when[:1] == "+" and when[1:].isdecimal() else None
    return None


def guard_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of the guard in each state that a call can be left in."""
    for state in UNANNOUNCED_STATES:
        run = _after(loaded, state)
        if Action("stop_record_session", "${accord_recorded}") not in run:
            yield Fault(
                f"a call left in state {state or 'none'!r} keeps its recording: it was not fully announced"
            )
        if not any(each.sets("accord_state", "unrecorded") for each in run):
            yield Fault(f"a call left in state {state or 'none'!r} is not marked as unrecorded")
    if any(each.application == "record_session" for each in _after(loaded, "pickup")):
        yield Fault("a call that is to be announced on answer is recorded before")
    if any(each.application == "stop_record_session" for each in _after(loaded, "announced")):
        yield Fault("an announced call loses its recording")
    yield from _pause_faults(loaded)
    for state in ("refusable", "announced", "pickup", "waiting", *UNANNOUNCED_STATES):
        if not any("sched_del(${accord_bound})" in each.data for each in _after(loaded, state)):
            yield Fault(
                f"a call left in state {state or 'none'!r} keeps its bound, which then transfers the call"
            )
        if Action("unset", "socket_resume") not in _after(loaded, state):
            yield Fault(
                f"a call left in state {state or 'none'!r} can still be transferred when its socket closes"
            )


def _pause_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """A pause for a card number must work without the daemon."""
    for state in ("refusable", "announced", "pickup"):
        codes = [each.data for each in _after(loaded, state) if each.application == "bind_digit_action"]
        if not any("execute_extension,accord_pause_" in each for each in codes):
            yield Fault(f"a call left in state {state!r} has no code to pause its recording")
    pauses = [actions for _, name, actions, _ in loaded.extensions() if name == "accord_pause"]
    if not any("uuid_record" in each.data and " mask " in each.data for run in pauses for each in run):
        yield Fault("accord_pause does not mask the recording: a card number is recorded")
    codes = [each.data for each in _after(loaded, "announced") if each.application == "bind_digit_action"]
    yield from _media_faults(loaded)
    yield from _key_faults(loaded, [each for each in codes if each.startswith("accord,*")])


def _media_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return settings that route a recorded call's media past the switch and that ``accord_media`` cannot
    undo: a variable of the called leg (observed)."""
    for context, name, actions, _ in loaded.extensions():
        if any(each.application == "bridge" and _MEDIA_BYPASS.search(each.data) for each in actions):
            yield Fault(
                f"extension {name!r} of context {context!r} has bypass_media_after_bridge in a dial string: "
                "a recording ends when its call is connected there",
                "set it with `set` before the bridge instead: Accord resets it on calls that it records",
                grave=False,
            )


def _key_faults(loaded: LoadedDialplan, starred: list[str]) -> Iterator[Fault]:
    """Return applications that consume a key before feature codes are matched: ``bind_meta_app``, and
    mod_fifo, which hangs up on the caller when the internal party presses ``*`` (both observed)."""
    for context, name, actions, _ in loaded.extensions():
        hangs_up = any(each.application == "fifo" and "out" in each.data.split()[1:2] for each in actions)
        if starred and hangs_up and not any("fifo_consumer_exit_key=" in each.data for each in actions):
            yield Fault(
                f"extension {name!r} of context {context!r} takes calls from a fifo, which hangs up on the "
                "caller at a colleague's *: so does every code that begins with *",
                "set fifo_consumer_exit_key=none before its fifo, or give Accord's codes a # "
                "(accord_pause_code and the others in accord/vars.xml), then `reloadxml`",
                grave=False,
            )
        run = [each.application for each in actions]
        if (
            starred
            and "bind_meta_app" in run
            and not any(each.sets("bind_meta_key", "#") for each in actions)
        ):
            yield Fault(
                f"extension {name!r} of context {context!r} binds * (bind_meta_app): on its calls no code "
                "that begins with * works",
                "give Accord's codes a # (accord_pause_code and the others in accord/vars.xml), then "
                "`reloadxml`",
                grave=False,
            )


def begin_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of the extensions that the daemon runs, in time or too late."""
    for state in ("pickup", "announcing", "refusable", "announced", "declined", "unrecorded", "late", ""):
        for name in ("accord_begin", "accord_ask"):
            if _run(loaded, name, state):
                yield Fault(
                    f"{name} acts in state {state or 'none'!r}: a late daemon interrupts a bridged call"
                )
    for state in ("waiting", "asking", "pickup", "announced", "declined", "failed", "unrecorded", "late", ""):
        for name in ("accord_announced", "accord_refusable"):
            if _run(loaded, name, state):
                yield Fault(f"{name} acts in state {state or 'none'!r}: it must only follow an announcement")
    yield from _question_faults(loaded)
    yield from buffer_faults(loaded, CONTEXT, _FILES)
    actions = _run(loaded, "accord_begin", "waiting")
    if not any(
        each.sets("accord_state", "announced") for each in _run(loaded, "accord_announced", "announcing")
    ):
        yield Fault("accord_announced confirms no announcement: every recording is stopped")
    order = [each.application for each in actions]
    if "playback" not in order or "record_session" not in order[: order.index("playback")]:
        yield Fault("accord_begin does not record before it plays the announcement: the recording lacks it")
        return
    before = actions[: order.index("playback")]
    if not any(each.sets("playback_terminators", "none") for each in before):
        yield Fault("accord_begin leaves playback_terminators: a key (*) ends the announcement")
    if not any("RECORD_STEREO=true" in each.data for each in before if each.application == "record_session"):
        yield Fault("accord_begin does not record in two channels: the voices cannot be told apart")
    bounds = [each.data.partition(" ") for each in before if each.application == "sched_transfer"]
    if not any(target == f"accord_timeout XML {CONTEXT}" for _, _, target in bounds):
        yield Fault("accord_begin sets no bound of its own: calls wait indefinitely for a daemon that hangs")


def buffer_faults(loaded: LoadedDialplan, context: str, hint: str) -> Iterator[Fault]:
    """Return recordings that the switch starts with a buffer (25 frames by default,
    ``RECORD_PRE_BUFFER_FRAMES``). The switch fills it again each time the call is bridged with another party,
    and that audio is missing without a gap."""
    for where, name, actions, _ in loaded.extensions():
        begins = [each.data for each in actions if each.application == "record_session"]
        if where == context and any("RECORD_PRE_BUFFER_FRAMES=0" not in data for data in begins):
            yield Fault(
                f"{name} is of an older Accord, without RECORD_PRE_BUFFER_FRAMES=0: 0.3 to 1.4 s are missing "
                "wherever a call is transferred",
                hint,
            )


def _question_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    question = _run(loaded, "accord_ask", "waiting")
    if any(each.application == "record_session" for each in question):
        yield Fault("accord_ask records before anybody has agreed")
    if not any(each.sets("playback_terminators", "none") for each in question):
        yield Fault("accord_ask leaves playback_terminators: a key ends the question")
    if not any(each.sets("accord_state", "asking") for each in question):
        yield Fault("accord_ask does not set accord_state=asking: the guard does not recognise the call")
    for state in ("asking", "announcing"):
        declined = _run(loaded, "accord_decline", state)
        if not any(each.sets("accord_state", "declined") for each in declined):
            yield Fault(f"accord_decline does nothing in state {state!r}: a caller who refuses is recorded")
        if Action("stop_record_session", "${accord_recorded}") not in declined:
            yield Fault(f"accord_decline does not end the recording in state {state!r}")


def info_prompt_folder(loaded: LoadedDialplan) -> str | None:
    """Return the folder of the info prompts, which colleagues call to hear; ``None`` if the switch plays
    none."""
    for each in loaded.walk(CONTEXT, "accord_info_00", {}):
        if each.application == "playback":
            return each.data.rpartition("/")[0]
    return None


def fixed_announcement_limit(loaded: LoadedDialplan) -> int | None:
    """Return the seconds after which a fixed bound cuts the announcement; ``None`` if the daemon sets the
    bound by the announcement's length, as it must."""
    for each in _run(loaded, "accord_begin", "waiting"):
        when = each.data.partition(" ")[0]
        if each.application == "sched_transfer" and when[:1] == "+" and when[1:].isdecimal():
            return int(when[1:])
    return None


def timeout_faults(loaded: LoadedDialplan) -> Iterator[Fault]:
    """Return the faults of the extension that runs when the bound has passed."""
    run = _run(loaded, "accord_timeout", "announcing")
    if Action("unset", "socket_resume") not in run[:1]:
        yield Fault("accord_timeout does not first unset socket_resume: the call ends when the daemon does")
    if not any(each.sets("accord_state", "late") for each in run):
        yield Fault("accord_timeout does not mark the call as late: a daemon that resumes records it")
    if not any(
        each.application == "execute_extension" and each.data.startswith("accord_after_") for each in run
    ):
        yield Fault("accord_timeout does not run the guard")
    if not any(each.application == "transfer" for each in run):
        yield Fault("accord_timeout does not send the call on")


def _after(loaded: LoadedDialplan, state: str) -> tuple[Action, ...]:
    return loaded.walk(CONTEXT, f"accord_after_{state}", {"accord_state": state})


def _run(loaded: LoadedDialplan, extension: str, state: str) -> tuple[Action, ...]:
    return loaded.walk(CONTEXT, extension, {"accord_state": state})
